# The server alone: no demo mode (NODE_ENV=production refuses it), no build step, no compiler.
FROM node:24-alpine AS dependencies
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
# The optional packages bring Node to machines that lack it; the image has it.
RUN npm ci --omit=dev --omit=optional

FROM node:24-alpine
LABEL org.opencontainers.image.title="Latchkey" org.opencontainers.image.licenses="Apache-2.0"

# /keys holds the master key, /data the embedded store; nothing else is written.
RUN mkdir /keys /data && chown node:node /keys /data && chmod 700 /keys /data
VOLUME ["/keys", "/data"]

COPY --from=dependencies /app/node_modules /app/node_modules
COPY package.json LICENSE /app/
COPY views /app/views
COPY src /app/src

ENV NODE_ENV=production \
    LATCHKEY_HOST=0.0.0.0 \
    LATCHKEY_PORT=3000 \
    LATCHKEY_KEYS_DIR=/keys
# The default store, sqlite:.latchkey/latchkey.db, thus lies in the volume.
WORKDIR /data
USER node
EXPOSE 3000
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s --start-interval=1s --retries=3 \
  CMD ["node", "-e", "fetch('http://127.0.0.1:3000/healthz').then((answer) => process.exit(answer.ok ? 0 : 1), () => process.exit(1))"]
ENTRYPOINT ["node", "--max-semi-space-size=4", "/app/src/main.ts"]
CMD ["start", "--config", "/etc/latchkey/latchkey.yaml"]
