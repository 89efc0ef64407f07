/** The time, and the minute that the now-line stands at. */
class Clock {
  /** Whole minutes since 1970, renewed as they pass. */
  minute = $state(Math.floor(Date.now() / 60_000));
  /** Seconds since 1970, for how long ago something was. */
  second = $state(Math.floor(Date.now() / 1000));

  now(): number {
    return Date.now();
  }

  /** Begins to tick; returns what ends it. */
  tick(): () => void {
    const timer = setInterval(() => {
      this.second = Math.floor(Date.now() / 1000);
      const minute = Math.floor(Date.now() / 60_000);
      if (minute !== this.minute) this.minute = minute;
    }, 1000);
    return () => clearInterval(timer);
  }
}

export const clock = new Clock();
