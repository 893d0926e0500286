branch=template-update
author=template-update@localhost
copier() { uvx --from 'copier>=9.18,<10' copier "$@"; }
template_version() { sed -n '1s/.*Template version: //p' .copier-answers.yml; }
as_list() { sed 's/.*/- `&`/'; }

answer="$(copier check-update --output-format json)"
if [[ "$answer" != *'"update_available": true'* ]]; then
  echo "There is no update."
  exit
fi

# The branch of an earlier run is replaced, unless somebody works on it.
earlier="$(git ls-remote origin "refs/heads/$branch" | cut -f 1)"
if [ -n "$earlier" ]; then
  git fetch --quiet origin "refs/heads/$branch"
  if [ "$(git log -1 --format=%ce FETCH_HEAD)" != "$author" ]; then
    echo "The branch $branch has commits of somebody else, and stays: merge it, or delete it." >&2
    exit 1
  fi
fi

git checkout --quiet -B "$branch"
from="$(template_version)"
copier update --defaults --quiet
to="$(template_version)"
conflicts="$(git diff --name-only --diff-filter=U)"
if [ -z "$conflicts" ] && [ -e uv.lock ]; then
  uv lock --quiet
fi
git add --all
removed="$(git diff --cached --name-only --diff-filter=D --no-renames)"

title="Update the template to $to"
text="From $from to $to."
if [ -n "$conflicts" ]; then
  title+=", with conflicts"
  text+=$'\n\nConflicts, to be resolved on this branch:\n\n'"$(as_list <<<"$conflicts")"
fi
if [ -n "$removed" ]; then
  text+=$'\n\nFiles that the template no longer has:\n\n'"$(as_list <<<"$removed")"
fi
git -c user.name="Template update" -c user.email="$author" \
  commit --quiet --message="$title" --message="$text"
