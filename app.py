"""Start the app. Hosting services find it as `demo`; the environment may name GRADIO_SERVER_NAME and a port."""

import sys

from segdemo.errors import InputError
from segdemo.service import zero
from segdemo.ui import build_app, limits, serve

try:
    demo = build_app(zero.engine(answers=limits.answers()))  # on ZeroGPU; of its own elsewhere
except InputError as error:  # a setting in the environment
    print(f"segdemo: {error}", file=sys.stderr)
    sys.exit(2)

if __name__ == "__main__":
    sys.exit(serve(demo))
