# A private template needs the token: git fetches it here, so that Copier needs none.
git_with_token clone --quiet --mirror "$template" "$scratch/template.git"
