import { postgres, redis, redisCluster, sqlite } from './backends.ts';
import { concurrency } from './concurrency.ts';

for (const backend of [sqlite, redis, redisCluster, postgres]) {
  describe(`Two processes on one ${backend.name}`, () => {
    concurrency(backend);
  });
}
