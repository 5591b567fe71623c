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
RUN ln -s /app/src/main.ts /usr/local/bin/latchkey

# Defaults, over which the configuration file goes: reachable from outside the container, and kept in its volumes.
ENV NODE_ENV=production \
    LATCHKEY_CONFIG=/etc/latchkey/latchkey.yaml \
    LATCHKEY_DEFAULT_HOST=0.0.0.0 \
    LATCHKEY_DEFAULT_STORE=sqlite:/data/.latchkey/latchkey.db \
    LATCHKEY_DEFAULT_KEYS_DIR=/keys
WORKDIR /data
USER node
EXPOSE 3000
# Reads the port and TLS from the configuration, as the server does.
HEALTHCHECK --interval=10s --timeout=5s --start-period=10s --start-interval=1s --retries=3 \
  CMD ["latchkey", "health", "--config", "/etc/latchkey/latchkey.yaml"]
ENTRYPOINT ["node", "--max-semi-space-size=4", "/app/src/main.ts"]
CMD ["start", "--config", "/etc/latchkey/latchkey.yaml"]
