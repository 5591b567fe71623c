import { backends } from './backends.ts';
import { conformance } from './conformance.ts';

for (const backend of backends) {
  describe(`The store on ${backend.name}`, () => {
    conformance(backend);
  });
}
