"""Photos and pictograms over HTTP: the row says where, the file must lie below the media root.

Belongs here: finding and sending files. Not here: making them (``pictures``).
"""

from __future__ import annotations

from pathlib import Path

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, Response

from kajovo_dr.sandbox import access, modules, web

#: Module in the path -> permission, table, parent column.
_MODULES = {
    "reports": ("reports:read", "report_photos", "report_id"),
    "issues": ("issues:read", "issue_photos", "issue_id"),
    "lost-found": ("lost_found:read", "lost_found_photos", "item_id"),
}
_COLUMNS = {"original": "file_path", "thumb": "thumb_path"}
_ENDINGS = {".png": "image/png", ".webp": "image/webp"}


def _photo(request: Request) -> Response:
    module, kind = request.path_params["module"], request.path_params["kind"]
    if module not in _MODULES or kind not in _COLUMNS:
        raise HTTPException(404, "Not Found")
    permission, table, parent = _MODULES[module]
    access.require(request, permission)
    found = modules.rows(
        request,
        f"SELECT {_COLUMNS[kind]} AS path FROM {table} WHERE {parent} = %s AND id = %s",  # noqa: S608
        request.path_params["id"],
        request.path_params["photo_id"],
    )
    if not found:
        raise HTTPException(404, "Photo not found")
    return _file(request.app.state.settings.media_root, found[0]["path"])


def _pictogram(request: Request) -> Response:
    access.require(request, "inventory:read")
    kind = request.path_params["kind"]
    if kind not in _COLUMNS:
        raise HTTPException(404, "Not Found")
    column = "pictogram_path" if kind == "original" else "pictogram_thumb_path"
    found = modules.rows(
        request,
        f"SELECT {column} AS path FROM inventory_items WHERE id = %s",  # noqa: S608
        request.path_params["id"],
    )
    if not found or not found[0]["path"]:
        raise HTTPException(404, "Pictogram not found")
    return _file(request.app.state.settings.media_root, found[0]["path"])


def _file(root: Path, relative: str) -> Response:
    """A path that leads out of the root is as good as missing."""
    target = (root / relative).resolve()
    if not target.is_relative_to(root.resolve()) or not target.is_file():
        raise HTTPException(404, "Media file not found")
    return FileResponse(target, media_type=_ENDINGS.get(target.suffix, "image/jpeg"))


ROUTES = [
    web.get("/api/v1/{module}/{id:int}/photos/{photo_id:int}/{kind}", _photo),
    web.get("/api/v1/inventory/{id:int}/pictogram/{kind}", _pictogram),
]
