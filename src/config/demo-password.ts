/** The demo's password, the same for both accounts. Because it is published, no configured server accepts it. */
export const DEMO_PASSWORD = 'latchkey-demo';

/** The addresses of the demo's accounts. */
export const DEMO_EMAILS = ['alice@example.com', 'admin@example.com'] as const;
