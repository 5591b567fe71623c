import { createManager, loadConfig } from './session.js';

// Loaded in a hidden frame, where silent sign-in ends: hands the answer to the page around it.
const manager = createManager(await loadConfig());
await manager.signinSilentCallback();
