# unwritable FOLDER COMMAND: while COMMAND runs, nothing can be written below FOLDER, not even by root.
own=-rm
[ "$(id -u)" = 0 ] && own=-m
folder=$1
shift
exec unshare $own sh -c '
  folder=$1
  shift
  mount --bind "$folder" "$folder" && mount -o remount,ro,bind "$folder" || exit 99
  exec "$@"' sh "$folder" "$@"
