if [ "$(git branch --show-current)" != "$branch" ]; then exit; fi # there is no update
title="$(git log -1 --format=%s)"
text="$(git log -1 --format=%b)"
draft=""
case "$title" in *", with conflicts" | *", unfinished") draft=yes ;; esac

# The branch of an earlier run is replaced, unless it has the same, or somebody works on it.
content() { git log -1 --format='%T %P %B' "$1"; }
earlier="$(git_with_token ls-remote "$repository" "refs/heads/$branch" | cut -f 1)"
unchanged=""
if [ -n "$earlier" ]; then
  git_with_token fetch --quiet "$repository" "refs/heads/$branch"
  if [ "$(git log -1 --format=%ce FETCH_HEAD)" != "$author" ]; then
    echo "The branch $branch has commits of somebody else, and stays: merge it, or delete it." >&2
    exit 1
  fi
  if [ "$(content HEAD)" = "$(content FETCH_HEAD)" ]; then unchanged=yes; fi
fi
