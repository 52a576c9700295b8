export const CopyableLines = (_: { text: string; label: string }) => null;
