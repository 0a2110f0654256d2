/** How long to wait before it is looked at again for an answer that is there already, in milliseconds. */
const AGAIN = 1000;

/**
 * Whether a page knows on whose behalf its calls are made. Pages of one browser share one session, which any of them can
 * change: where that may have happened, calls wait until it was looked at.
 */
export class Doubt {
  private raised = 0;
  private settled = 0;
  private looking: Promise<void> | undefined;
  private look: () => Promise<void> = () => Promise.resolve();

  /** How it is looked at. Where the page is to call nothing any more this does not end. */
  settleBy(look: () => Promise<void>): void {
    this.look = look;
  }

  /** From now on nothing is called before it was looked at, which is done at once. */
  raise(): void {
    this.raised += 1;
    // Where it cannot be looked at, the next call tries.
    this.over().catch(() => undefined);
  }

  /** Waits until there is none, or fails where that cannot be found out. */
  async over(): Promise<void> {
    while (this.settled !== this.raised) {
      this.looking ??= this.lookOnce().finally(() => { this.looking = undefined; });
      await this.looking;
    }
  }

  /** Waits until there is none, however long that cannot be found out: an answer that has come is not lost. */
  async outlast(): Promise<void> {
    for (;;) {
      try {
        await this.over();
        return;
      } catch {
        await new Promise((resolve) => setTimeout(resolve, AGAIN));
      }
    }
  }

  private async lookOnce(): Promise<void> {
    const { raised } = this;
    await this.look();
    this.settled = raised;
  }
}

/** The page's own. */
export const doubt = new Doubt();
