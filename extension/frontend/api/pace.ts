/** Limits how often something is done: at once the first time, then at most once per interval. */

export class Pace {
  private last = -Infinity;
  private timer: ReturnType<typeof setTimeout> | undefined;
  private isRunning = false;
  private isWanted = false;

  /** `act` never overlaps itself. */
  constructor(
    private readonly act: () => Promise<void> | void,
    private readonly intervalMs: number,
  ) {}

  /** Do it now, or as soon as the interval allows. */
  want(): void {
    if (this.isRunning) {
      this.isWanted = true;
      return;
    }
    this.timer ??= setTimeout(() => void this.run(), Math.max(0, this.last + this.intervalMs - performance.now()));
  }

  stop(): void {
    clearTimeout(this.timer);
    this.timer = undefined;
    this.isWanted = false;
  }

  private async run(): Promise<void> {
    this.timer = undefined;
    this.isRunning = true;
    this.last = performance.now();
    try {
      await this.act();
    } finally {
      this.isRunning = false;
      if (this.isWanted) {
        this.isWanted = false;
        this.want();
      }
    }
  }
}
