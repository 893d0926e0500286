# The template's address, as git knows it.
template="$(sed -n 's/^_src_path: //p' .copier-answers.yml)"
template="${template#git+}"
template="${template/#gh:/https://github.com/}"
template="${template/#gl:/https://gitlab.com/}"
