"""Start the app. Hosting services find it as `demo`; the environment may name GRADIO_SERVER_NAME and a port."""

import sys

from segdemo.service import zero
from segdemo.ui import build_app, limits, serve

demo = build_app(zero.engine(answers=limits.answers()))  # on ZeroGPU; of its own elsewhere

if __name__ == "__main__":
    sys.exit(serve(demo))
