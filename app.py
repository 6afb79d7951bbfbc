"""Start the app. Hosting services find it as `demo`; the environment may name GRADIO_SERVER_NAME and a port."""

import os

from segdemo.ui import build_app, launch

demo = build_app()

if __name__ == "__main__":
    port = os.environ.get("GRADIO_SERVER_PORT") or os.environ.get("PORT")
    launch(demo, server_port=int(port) if port else None)
