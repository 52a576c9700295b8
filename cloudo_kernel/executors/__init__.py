"""Where executions run: `base` is the seam, `local` runs them as processes of this machine."""
