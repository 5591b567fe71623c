/** Seconds by which the configuration may let any two clocks differ. */
export const LARGEST_SKEW = 300;
