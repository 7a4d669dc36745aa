# smalldisk SIZE FOLDER COMMAND: while COMMAND runs, FOLDER is a file system of that size; what it wrote is kept.
# A SIZE of +4k is what the folder holds, and that.
size=$1 folder=$2
shift 2
case $size in +*) size=$(($(du -sk "$folder" | cut -f 1) + $(echo "$size" | tr -d +k)))k;; esac
own=-rm
[ "$(id -u)" = 0 ] && own=-m
unshare $own sh -c '
  size=$1 folder=$2
  shift 2
  cp -a "$folder" .aside && mount -t tmpfs -o size=$size t "$folder" && cp -a .aside/. "$folder" || exit 99
  "$@"
  code=$?
  rm -rf .aside && cp -a "$folder" .aside
  exit $code' sh "$size" "$folder" "$@"
code=$?
[ -d .aside ] && rm -rf "$folder" && mv .aside "$folder"
exit $code
