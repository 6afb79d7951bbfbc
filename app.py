"""Start the app. Hosting services find it as `demo`; the environment may name GRADIO_SERVER_NAME and a port."""

import sys

from segdemo.ui import build_app, serve

demo = build_app()

if __name__ == "__main__":
    sys.exit(serve(demo))
