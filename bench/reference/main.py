# The service the way it was first written, with FastAPI and aiomysql: the other side of side-by-side benchmarks, not a product.
#
#   DATABASE_URL=mysql://user:password@127.0.0.1:3306/name POOL=shared|request \
#     /usr/bin/python3 -m uvicorn --app-dir bench/reference main:app --port 4344 --log-level warning
#
# POOL=shared: one pool for the process. POOL=request: a pool made and closed by every request, as first published.
# Debian packages: python3-fastapi python3-aiomysql uvicorn python3-uvloop python3-httptools.
import os
import secrets
from datetime import datetime
from urllib.parse import unquote, urlsplit

import aiomysql
from fastapi import Depends, FastAPI, HTTPException, Query, Request
from fastapi.security import HTTPBasic, HTTPBasicCredentials

url = urlsplit(os.environ["DATABASE_URL"])
SHARED = {"shared": True, "request": False}[os.environ.get("POOL", "shared")]
CONTENT = "id, content, ip, api, dt, wh_id"
app = FastAPI()


def new_pool():
    # autocommit: every INSERT is a transaction of its own, durable when it is answered.
    return aiomysql.create_pool(
        host=url.hostname, port=url.port or 3306, db=url.path.lstrip("/"), charset="utf8mb4",
        user=unquote(url.username or "root"), password=unquote(url.password or ""),
        minsize=1, maxsize=10, autocommit=True,
    )


@app.on_event("startup")
async def start():
    app.state.pool = await new_pool() if SHARED else None


@app.on_event("shutdown")
async def stop():
    if app.state.pool:
        app.state.pool.close()
        await app.state.pool.wait_closed()


async def database():
    pool = app.state.pool or await new_pool()
    try:
        yield pool
    finally:
        if not SHARED:
            pool.close()
            await pool.wait_closed()


async def select(pool, statement, *values):
    async with pool.acquire() as connection, connection.cursor(aiomysql.DictCursor) as cursor:
        await cursor.execute(statement, values)
        return await cursor.fetchall()


async def user(credentials: HTTPBasicCredentials = Depends(HTTPBasic()), pool=Depends(database)):
    rows = await select(pool, "SELECT token FROM tbluser WHERE id = %s", credentials.username)
    if not rows or not secrets.compare_digest(credentials.password.encode(), rows[0]["token"].encode()):
        raise HTTPException(401, "Incorrect Authentication", {"WWW-Authenticate": "Basic"})
    return credentials.username


@app.get("/")
async def read_root(me=Depends(user)):
    return {"username": me}


@app.get("/webhooks")
async def read_webhooks(me=Depends(user), pool=Depends(database)):
    statement = "SELECT id AS wh_id, wh_url, wh_name, status FROM tblwhid WHERE user_id = %s ORDER BY id"
    return {"webhooks": await select(pool, statement, me)}


@app.get("/whcontent")
async def read_contents(
    id: int = 0, whid: int = 0, limit: int = Query(20, ge=1), me=Depends(user), pool=Depends(database)
):
    statement = f"SELECT {CONTENT} FROM tblwh WHERE user_id = %s AND wh_id = %s AND id >= %s ORDER BY id LIMIT %s"
    return {"whcontent": await select(pool, statement, me, whid, id, min(limit, 100))}


@app.get("/whcontent/{id}")
async def read_content(id: int, me=Depends(user), pool=Depends(database)):
    for row in await select(pool, f"SELECT {CONTENT} FROM tblwh WHERE user_id = %s AND id = %s", me, id):
        return row
    raise HTTPException(404, "The webhook id does not exist for such user")


@app.post("/whcontent", status_code=201)
async def write_content(request: Request, content: str = None, me=Depends(user), pool=Depends(database)):
    text = await request.body() if content is None else content
    dt = datetime.utcnow().strftime("%Y-%m-%d %H:%M:%S")
    statement = "INSERT INTO tblwh (content, ip, api, dt, user_id, wh_id) VALUES (%s, %s, 0, %s, %s, 0)"
    async with pool.acquire() as connection, connection.cursor() as cursor:
        await cursor.execute(statement, (text, request.client.host[:15], dt, me))
        return {"result": "ok", "id": cursor.lastrowid}
