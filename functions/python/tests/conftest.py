"""The stores that every test of a store runs on. PostgreSQL where it is installed; DynamoDB is moto's server, in a process of its own thread."""

import contextlib
import logging
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import uuid

import pytest

HERE = pathlib.Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent)]

from tidegate_functions import open_store  # noqa: E402

logging.getLogger("werkzeug").setLevel(logging.ERROR)
os.environ.update(AWS_ACCESS_KEY_ID="test", AWS_SECRET_ACCESS_KEY="test", AWS_DEFAULT_REGION="eu-west-1")


@pytest.fixture(scope="session")
def dynamodb():
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


def initdb():
    """Debian keeps it out of the path."""
    found = sorted(pathlib.Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    return shutil.which("initdb") or (str(found[-1]) if found else None)


@pytest.fixture(scope="session")
def postgresql():
    if initdb() is None:
        if os.environ.get("CI"):
            pytest.fail("PostgreSQL is missing: apt-get install postgresql")
        pytest.skip("PostgreSQL is not installed")
    # Not pytest's folder, of which only the last three are kept: other runs at this time would take it away. Its name is short, as that of a socket must be.
    folder = pathlib.Path(tempfile.mkdtemp(prefix="pg"))
    programs = pathlib.Path(os.path.realpath(initdb())).parent
    # PostgreSQL does not run as root.
    user = ["setpriv", "--reuid=nobody", "--clear-groups"] if os.getuid() == 0 else []
    if user:
        shutil.chown(folder, "nobody")
    run = [*user, str(programs / "initdb"), "-D", str(folder / "db"), "-A", "trust", "-U", "test", "--no-sync"]
    subprocess.run(run, check=True, capture_output=True, cwd="/")
    options = f"-k {folder} -c listen_addresses= -c fsync=off"
    control = [*user, str(programs / "pg_ctl"), "-D", str(folder / "db"), "-w"]
    subprocess.run([*control, "-o", options, "-l", str(folder / "log"), "start"], check=True, capture_output=True, cwd="/")
    yield f"postgresql://test@/postgres?host={folder}"
    subprocess.run([*control, "-m", "immediate", "stop"], check=True, capture_output=True, cwd="/")
    shutil.rmtree(folder)


@pytest.fixture(params=["sqlite", "postgresql", "dynamodb"])
def store_url(request, tmp_path):
    """An empty store."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/summaries.db"
    if request.param == "dynamodb":
        import boto3
        from tidegate_functions.store.dynamodb import create_table

        endpoint, table = request.getfixturevalue("dynamodb"), f"t{uuid.uuid4().hex}"
        create_table(boto3.client("dynamodb", endpoint_url=endpoint), table)
        return f"dynamodb://{table}?endpoint={endpoint}&region=eu-west-1"
    import psycopg

    server, name = request.getfixturevalue("postgresql"), f"t{uuid.uuid4().hex}"
    with contextlib.closing(psycopg.connect(server, autocommit=True)) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    return server.replace("/postgres?", f"/{name}?")


@pytest.fixture
def store(store_url):
    opened = open_store(store_url)
    yield opened
    opened.close()


@pytest.fixture
def sqlite_store(tmp_path):
    opened = open_store(f"sqlite:///{tmp_path}/summaries.db")
    yield opened
    opened.close()
