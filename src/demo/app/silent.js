import { createManager, loadConfig } from './session.js';

// Runs in the hidden frame in which a silent sign-in ends, and hands the response to the page around the frame.
const manager = createManager(await loadConfig());
await manager.signinSilentCallback();
