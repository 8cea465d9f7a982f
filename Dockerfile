# CLB in one image; the compose file starts it as server, worker, client or database.

FROM node:20-bookworm-slim AS build
WORKDIR /app
COPY package.json package-lock.json ./
# A private registry or proxy is configured by an npmrc given as a build secret; it never becomes part of the image.
RUN --mount=type=secret,id=npmrc,target=/root/.npmrc npm ci --no-audit --no-fund
COPY tsconfig.json tsconfig.build.json ./
COPY src ./src
RUN npm run build && npm prune --omit=dev --no-audit --no-fund

FROM node:20-bookworm-slim
# Payloads are Python scripts unless they say otherwise.
RUN apt-get update \
  && apt-get install -y --no-install-recommends python3 \
  && rm -rf /var/lib/apt/lists/*
WORKDIR /app
COPY --from=build /app/package.json ./
COPY --from=build /app/node_modules ./node_modules
COPY --from=build /app/dist ./dist
COPY bin ./bin
# All state, and the tasks' scratch folders (a tmpfs would be mounted noexec), lie under /data.
RUN ln -s /app/bin/clb.js /usr/local/bin/clb && mkdir /data && chown node:node /data
USER node
ENV NODE_ENV=production
VOLUME /data
ENTRYPOINT ["node", "--max-semi-space-size=32", "/app/bin/clb.js"]
CMD ["--help"]
