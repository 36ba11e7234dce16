import os
from pathlib import Path

import pytest

from livefleet.kernel import Terminal
from livefleet.wire import NginxMissing
from livefleet.wire.server.backends import prepare_socket
from livefleet.wire.server.nginx import find_nginx, render

pytestmark = pytest.mark.unit


def a_configuration(version=(1, 22, 1)):
    return render(
        listen="0.0.0.0:8935",
        certificate=Path("/r/certificate.pem"),
        run_dir=Path("/r"),
        grpc_socket=Path("/r/grpc.sock"),
        http_socket=Path("/r/http.sock"),
        drain_s=30,
        version=version,
    )


@pytest.mark.parametrize(
    "line",
    [
        "daemon off;",
        "listen 0.0.0.0:8935 ssl http2 so_keepalive=30s:10s:3;",
        "grpc_read_timeout 365d;",
        "client_max_body_size 0;",
        "grpc_read_timeout 60s;",
        "client_header_timeout 15s;",
        "large_client_header_buffers 4 128k;",
        "reset_timedout_connection on;",
        "limit_conn addresses 1024;",
        "http2_max_concurrent_streams 256;",
        "proxy_request_buffering off;",
        "proxy_buffering off;",
        "proxy_set_header X-Forwarded-For $remote_addr;",
        'client_body_temp_path "/r/nginx-client_body";',
        "ssl_protocols TLSv1.2 TLSv1.3;",
        "worker_shutdown_timeout 30s;",
    ],
)
def test_configuration__holds_what_correctness_needs(line):
    assert line in a_configuration()


def test_configuration__new_nginx__spells_http2_its_way():
    text = a_configuration((1, 26, 0))
    assert "ssl http2" not in text
    assert "http2 on;" in text


def test_find__not_installed__says_what_to_install(tmp_path):
    with pytest.raises(NginxMissing, match="apt-get install"):
        find_nginx(str(tmp_path))


def test_find__on_the_path(tmp_path):
    program = tmp_path / "nginx"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    assert find_nginx(os.pathsep.join(["/nowhere", str(tmp_path)])) == str(program)


def test_socket_path__too_long__is_terminal(tmp_path):
    with pytest.raises(Terminal, match="shorter run folder"):
        prepare_socket(tmp_path / ("x" * 120))
