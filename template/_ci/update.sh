# Copier finds the template where git has put it.
copier() {
  GIT_CONFIG_COUNT=1 GIT_CONFIG_KEY_0="url.$scratch/template.insteadOf" GIT_CONFIG_VALUE_0="${template%.git}" \
    uvx --from copier==9.19.1 copier "$@"
}
template_version() { sed -n '1s/.*Template version: //p' .copier-answers.yml; }
field() { sed -n "s/.*\"$1\": \"\([^\"]*\)\".*/\1/p" <<< "$answer"; }
# Names as they are, also those that git would quote. Copier needs them quoted.
paths() { git -c core.quotePath=false "$@"; }
ignored() { paths ls-files --others --ignored --exclude-standard; }
as_list() { sed 's/.*/- `&`/'; }

from="$(template_version)"
commit="$(sed -n "s/^_commit: '\{0,1\}\([^']*\).*/\1/p" .copier-answers.yml)"
if [ -z "$(git -C "$scratch/template.git" for-each-ref --contains "$commit" 2> /dev/null)" ]; then
  newest="$(git -C "$scratch/template.git" describe --tags --always)"
  echo "The service is at $from. The template is at $newest, and no longer has the commit $commit:" \
    'was its history rewritten? "The history of the template" in docs/operations.md says what to do.' >&2
  exit 1
fi
answer="$(copier check-update --output-format json)"
if [[ "$answer" == *'"update_available": false'* ]]; then
  current="$(field current_version)"
  newest="$(field latest_version)"
  if [ "$current" = "$newest" ]; then
    echo "There is no update. The service is at $current, the newest release."
    exit
  fi
  echo "The service is at $current, and the template's newest release is $newest, which is lower:" \
    'was it withdrawn? "The history of the template" in docs/operations.md says what to do.' >&2
  exit 1
fi

git checkout --quiet -B "$branch"
hidden="$(ignored)"
copier update --defaults --quiet
hidden="$(LC_ALL=C comm -13 <(echo "$hidden") <(ignored))"
to="$(template_version)"
conflicts="$(paths diff --name-only --diff-filter=U)"
failure=""
if ! grep --quiet --line-regexp pyproject.toml <<< "$conflicts"; then
  # Without a lock file, this only finds out whether one could be written.
  if [ -e uv.lock ]; then lock=(uv lock --quiet); else lock=(uv lock --quiet --dry-run); fi
  if ! failure="$("${lock[@]}" 2>&1)"; then
    failure="$(tail -n 20 <<< "${failure:-It said nothing.}")"
    echo "$failure" >&2
  else
    failure=""
  fi
fi
if [ -n "$hidden" ]; then
  git add --force --pathspec-from-file=- <<< "$hidden"
fi
git add --all
removed="$(paths diff --cached --name-only --diff-filter=D --no-renames)"

title="Update the template to $to"
text="From $from to $to."
if [ -n "$conflicts" ]; then
  title+=", with conflicts"
  text+=$'\n\nConflicts, to be resolved on this branch:\n\n'"$(as_list <<< "$conflicts")"
elif [ -n "$failure" ]; then
  title+=", unfinished"
fi
if [ -n "$failure" ]; then
  text+=$'\n\n`uv lock` failed. Mend `pyproject.toml` on this branch, and run it again:\n\n'"$(sed 's/^/    /' <<< "$failure")"
fi
if [ -n "$hidden" ]; then
  text+=$'\n\nNew files, added although `.gitignore` matches them:\n\n'"$(as_list <<< "$hidden")"
fi
if [ -n "$removed" ]; then
  text+=$'\n\nFiles that the template no longer has:\n\n'"$(as_list <<< "$removed")"
fi
git -c user.name="Template update" -c user.email="$author" \
  commit --quiet --message="$title" --message="$text"
