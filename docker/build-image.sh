#!/bin/sh
# Makes a container image of Redis without an image registry: Debian's own redis-server and redis-cli,
# busybox as the shell, and every library that they name. Its one idea: `docker import` takes a folder,
# so neither a base image nor a build is needed. About 20 MB in half a second.
#
# usage: docker/build-image.sh [NAME]      default: coterie-redis:local
# needs: redis-server, redis-cli and a static busybox on this machine, and a container engine that answers
set -eu

name=${1:-coterie-redis:local}

for program in redis-server redis-cli busybox docker ldd tar; do
  command -v "$program" >/dev/null || {
    echo "build-image: $program is missing;" \
      "type: apt-get install -y redis-server busybox-static docker.io" >&2
    exit 1
  }
done

work=$(mktemp -d)
root=$work/root
trap 'rm -rf -- "$work"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

mkdir "$root"

# Copies a program, links followed, and the libraries it names, to the same paths below the root.
install_program() {
  install -D -m 755 "$(readlink -f "$(command -v "$1")")" "$root/usr/bin/$2"
  # Static programs name no library: ldd then says so and fails.
  libraries=$(ldd "$(command -v "$1")" 2>/dev/null | grep -o '/[^ ]*') || return 0
  for library in $libraries; do
    install -D -m 755 "$(readlink -f "$library")" "$root$library"
  done
}

install_program redis-server redis-server
install_program redis-cli redis-cli
install_program busybox busybox
for applet in sh nc cat sleep; do ln -s busybox "$root/usr/bin/$applet"; done

# The shell is looked for in /bin, by health checks for one.
ln -s usr/bin "$root/bin"
mkdir -p "$root/etc" "$root/tmp" "$root/data"
chmod 1777 "$root/tmp"
chmod 755 "$root"
printf 'root:x:0:0::/:/bin/sh\nredis:x:999:999::/data:/bin/sh\n' >"$root/etc/passwd"
printf 'root:x:0:\nredis:x:999:\n' >"$root/etc/group"

# The owner of /data is set in the archive, so that nobody needs to be root here.
tar -C "$root" --owner=0 --group=0 --exclude=./data -cf "$work/image.tar" .
tar -C "$root" --owner=999 --group=999 -rf "$work/image.tar" ./data

docker import \
  --change 'EXPOSE 6379' \
  --change 'WORKDIR /data' \
  --change 'VOLUME /data' \
  --change 'USER redis' \
  --change 'ENV PATH=/usr/bin:/bin' \
  --change 'ENTRYPOINT ["/usr/bin/redis-server"]' \
  --change 'CMD ["--bind","0.0.0.0","--protected-mode","no","--save","","--appendonly","no"]' \
  - "$name" <"$work/image.tar" >/dev/null

echo "built $name"
