# The image: Restante and Node, nothing else. docs/deploy.md tells how to run it; compose.yaml runs it with MySQL and TLS.
# Node 24: supported until 2028, tested, and SQLite is in it (from 22.13 on), so that no other package is needed at run time.
FROM node:24-bookworm-slim AS build
WORKDIR /build
COPY package.json package-lock.json ./
RUN npm ci --ignore-scripts --no-audit --no-fund
COPY build.js tsconfig.json ./
COPY src src
COPY docs/guides docs/guides
RUN node build.js

FROM node:24-bookworm-slim
# Its package.json says that the files of dist/ are modules.
COPY --from=build /build/package.json /restante/
COPY --from=build /build/dist /restante/dist
RUN ln -s /restante/dist/main.js /usr/local/bin/restante && install -d -m 700 -o 1000 -g 1000 /data
# No name: Kubernetes lets only a number prove that it is not root.
USER 1000:1000
# Not DATABASE_URL: it would stand against DATABASE_URL_FILE. From here the default, ./data/restante.db, is in the volume.
WORKDIR /
VOLUME /data
# Inside of the container; whoever publishes the port decides who may reach it.
ENV HOST=0.0.0.0
EXPOSE 4343
STOPSIGNAL SIGTERM
# Not once a second at the start: --start-interval is unknown to Docker before 25, and who waits for it waits for 10 s at most.
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s \
  CMD ["node", "-e", "fetch(`http://127.0.0.1:${process.env.PORT || 4343}/healthz`).then(({ ok }) => process.exit(ok ? 0 : 1), () => process.exit(1))"]
ENTRYPOINT ["restante"]
CMD ["serve"]
