set -euo pipefail
branch=template-update
author=template-update@localhost
