# SPDX-License-Identifier: Apache-2.0
"""Price sources for test_feeds.py: one server on loopback that answers in the shapes that the real ones
document, and anything else a test puts at an address."""
import datetime
import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

KEY = "luxor-k3y-of-this-test"


def stamp(offset_s=0):
    at = datetime.datetime.fromtimestamp(time.time() + offset_s, datetime.timezone.utc)
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")


def coin(tag, algorithm, revenue, lagging=False):
    return {"id": 1, "tag": tag, "algorithm": algorithm, "block_time": "120.1", "block_reward": 0.0,
            "nethash": 21000000000000000000000, "exchange_rate_curr": "BTC", "market_cap": "$1.00",
            "estimated_rewards": "0.1", "btc_revenue": revenue, "btc_revenue24": revenue,
            "profitability": 100, "lagging": lagging, "timestamp": int(time.time()) - 60}


def offer(gpus, dph):
    return {"id": 1, "gpu_name": "RTX 4090", "num_gpus": gpus, "dph_base": 0.1, "dph_total": dph,
            "is_bid": False, "rentable": True, "verification": "verified", "search": {"totalHour": dph}}


def documented(path, body, headers):
    """(status, answer) of an address of a real source; None: not one of theirs."""
    now = time.time()
    if path == "/api/v1/mining/hashrate/3d":
        return 200, {"hashrates": [{"timestamp": 1652486400, "avgHashrate": 231826000000000000000}],
                     "difficulty": [{"timestamp": 0, "difficulty": 31250000000000, "height": 736249}],
                     "currentHashrate": 251826000000000000000, "currentDifficulty": 31250000000000}
    if path == "/api/v1/mining/reward-stats/144":
        return 200, {"startBlock": 736556, "endBlock": 736655, "totalReward": "63811748254",
                     "totalFee": "1311748254", "totalTx": "164216"}
    if path == "/api/v1/prices":
        return 200, {"time": int(now) - 30, "USD": 40000, "EUR": 37000.5, "GBP": 31000}
    if path == "/v1/hashrateindex/hashprice/current?hashunit=PHS":
        if headers.get("X-Hi-Api-Key") != KEY:
            return 401, {"message": "no key"}
        return 200, {"data": {"priceBTC": 0.0006, "priceUSD": 50.1, "timestamp": stamp(-90)}}
    if path.startswith("/coins.json?factor%5Bal_hr%5D=1000&"):
        return 200, {"coins": {"Ergo": coin("ERG", "Autolykos", "0.00001"),
                               "Ravencoin": coin("RVN", "KawPow", "0.00002"),
                               "Nicehash-Kawpow": coin("NICEHASH", "KawPow", "0.5", True)}}
    if path == "/main/api/v2/public/simplemultialgo/info":
        return 200, {"miningAlgorithms": [
            {"algorithm": "SCRYPT", "title": "Scrypt", "speed": "1.0", "paying": "0.1"},
            {"algorithm": "KAWPOW", "title": "KAWPOW", "speed": "894.8", "paying": "571.28"}]}
    if path == "/api/v3/simple/price?ids=bitcoin&vs_currencies=usd&include_last_updated_at=true":
        return 200, {"bitcoin": {"usd": 41000.5, "last_updated_at": int(now) - 20}}
    if path == "/api/v0/bundles/":
        asked = json.loads(body)
        if asked["gpu_name"] != {"in": ["RTX 4090"]}:
            return 400, {}
        return 200, {"offers": [offer(4, 2.0), offer(1, 0.3), offer(2, 0.8)]}
    if path == "/graphql":
        if 'gpuTypes(input:{id:"NVIDIA A100 80GB PCIe"})' not in json.loads(body)["query"]:
            return 400, {}
        return 200, {"data": {"gpuTypes": [{"id": "NVIDIA A100 80GB PCIe", "securePrice": 1.8,
                                            "communityPrice": 1.19}]}}
    if path.startswith("/v1/products/") and path.endswith("/standard-unit-rates/"):
        return 200, {"count": 3, "next": None, "previous": None, "results": [
            {"value_exc_vat": 19.0, "value_inc_vat": 20.5, "valid_from": stamp(1800), "valid_to": stamp(3600)},
            {"value_exc_vat": 14.5, "value_inc_vat": 15.2, "valid_from": stamp(-60), "valid_to": stamp(1800)},
            {"value_exc_vat": 9.0, "value_inc_vat": 9.45, "valid_from": stamp(-3600), "valid_to": stamp(-60)}]}
    if path == "/price.json":
        return 200, {"price": "0.0712"}
    if path == "/price.csv":
        return 200, f"timestamp,price\n{stamp(-3600)},30\n{stamp(-600)},41.25\n{stamp(3600)},99\n"
    return None


class Sources:
    """answers[path]: (status, body, headers), or a function of the handler that does all itself. ETags are
    checked for whatever has one. asked[path] counts."""

    def __init__(self, context=None):
        self.answers = {}
        self.asked = {}
        self.unchanged = 0
        self.released = threading.Event()
        sources = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *args):
                pass

            def handle_one_request(self):
                try:
                    super().handle_one_request()
                except OSError:  # the asker went: that is what some tests are about
                    self.close_connection = True

            def do_GET(self):
                sources.answer(self)

            do_POST = do_GET

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 64  # all feeds of a broker ask at once

        self.server = Server(("127.0.0.1", 0), Handler)
        self.url = f"http{'s' if context else ''}://127.0.0.1:{self.server.server_port}"
        if context:
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True,
                                                     do_handshake_on_connect=False)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def answer(self, handler):
        path = handler.path
        self.asked[path] = self.asked.get(path, 0) + 1
        body = handler.rfile.read(int(handler.headers.get("Content-Length", 0)))
        known = self.answers.get(path) or documented(path, body, handler.headers) or (404, "no such thing")
        if callable(known):
            return known(handler)
        status, content, headers = (*known, {})[:3]
        if headers.get("ETag") and handler.headers.get("If-None-Match") == headers["ETag"]:
            self.unchanged += 1
            status, content = 304, ""
        text = content if isinstance(content, str) else json.dumps(content)
        handler.send_response(status)
        for name, value in headers.items():
            handler.send_header(name, value)
        handler.send_header("Content-Length", str(len(text)))
        handler.end_headers()
        handler.wfile.write(text.encode())

    def hang(self, handler):
        """Says nothing until the test ends."""
        self.released.wait(60)
        handler.close_connection = True

    @staticmethod
    def large(handler):
        """Ten million bytes without saying so before."""
        handler.send_response(200)
        handler.send_header("Connection", "close")
        handler.end_headers()
        for _ in range(1000):
            handler.wfile.write(b" " * 10000)
        handler.close_connection = True

    def close(self):
        self.released.set()
        self.server.shutdown()
        self.server.server_close()
