import { backends } from './backends.ts';
import { conformance } from './conformance.ts';
import { dumpConformance } from './dump-conformance.ts';

for (const backend of backends) {
  describe(`The store on ${backend.name}`, () => {
    conformance(backend);
    dumpConformance(backend);
  });
}
