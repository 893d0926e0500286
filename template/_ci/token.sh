# Only git is given the token. It sends it to this server only, when asked for one, and runs no hooks.
git_with_token() {
  TEMPLATE_TOKEN="$TEMPLATE_TOKEN" GIT_TERMINAL_PROMPT=0 git -c core.hooksPath=/dev/null \
    -c "credential.$server.helper=" \
    -c "credential.$server.helper=!f() { echo username=x-access-token; echo \"password=\$TEMPLATE_TOKEN\"; }; f" "$@"
}
