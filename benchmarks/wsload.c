/* wsload.c - fan-out load generator (one process, epoll); run.py compiles it.
 *
 *   wsload -p PORT [options]        prints one JSON line on stdout
 *     -h IP         server address (default 127.0.0.1; loopback only is intended)
 *     -u PATH       subscriber URL path with query (default /ws);  %s in it = the client's token
 *     -t FILE       tokens, one a line; client i has line i modulo their number
 *     -A TEXT       ws, sse: a subscriber is ready when it has received this text (default: at once)
 *     -Z PERCENT    so many of the subscribers read nothing once they are ready; they are not expected to,
 *                   and their sockets are the smallest, so that what waits does so in the server
 *     -I S          with -i: stay connected so long, answering pings, and report the server's CPU
 *     -n N          subscribers            -c C   connects in flight (default 64)
 *     -M M          most messages          -T S   most seconds of the run (default 2)
 *     -s BYTES      message body size      -r R   messages/s open loop (0 = closed loop)
 *     -b B          closed loop: messages sent in one burst; the next burst goes out when all
 *                   N subscribers have received the whole burst (default 1)
 *     -k KIND       ws | sse | mqtt | nats | sio   (protocol spoken inside, default ws)
 *     -m TEXT       ws: first message sent by each subscriber after the upgrade
 *     -P PROTO      Sec-WebSocket-Protocol      -H "K: V"  one extra request header
 *     -x            offer permessage-deflate (compressed frames are counted by frame, latency
 *                   taken from the burst's publish time)
 *     -o PATH       publish over an own WebSocket client at PATH
 *     -O PATH       publish by HTTP POST (keep-alive) at PATH     (-q PORT other publish port)
 *     -G "K: V"     one extra header of the publishing POST (an API key)
 *     -B "PRE|POST" text around each published message, e.g. '{"channel":"live:bench","data":|}'
 *     -J "PRE|POST" HTTP: a whole burst in one POST, the wrapped messages joined by commas between these,
 *                   e.g. -B '{"publish":{"channel":"live:bench","data":|}}' -J '{"commands":[|]}'
 *     -w MS         settle time after the last connect (default 300)
 *     -W K          warm-up messages, not counted (default 3)
 *     -S PID,PID    server processes: CPU seconds over the run, RSS before/after connecting
 *     -i            idle only: connect, report memory and connect rate, publish nothing
 *
 * A message is {"type":"message","channel":"bench","t":<CLOCK_MONOTONIC ns>,"pad":"xxx"}; each
 * `"t":` seen by a subscriber counts as one delivery.  Frames split across reads, coalesced frames,
 * pings, chunked HTTP and several messages per frame are handled.  deliveries = M*N expected; lost =
 * expected - delivered (waits at most 5 s without progress).  Sockets close with RST (no TIME_WAIT).
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { CONNECTING, HANDSHAKE, OPEN, DEAD };
typedef struct { int fd, st, idx, sub, up; char *save; int nsave, sio, hlen; } conn;

static const char *ip = "127.0.0.1", *path = "/ws", *first, *proto, *hdr, *pubws, *pubhttp, *kind = "ws";
static char *wrap[2] = {"", ""}, *join[2]; static const char *pubhdr;
static char *tokens[4096], *awaited; static int ntokens, stall; static double idle_s;
static int port, pubport, N = 100, C = 64, M = 1000, burst = 1, size = 200, settle = 300, warm = 3, idle_only, deflate;
static double T = 2, rate = 0;
static int pids[64], npids;
static int ep, nready, ninflight, nstarted, ndead;
static conn *cs, pub;
static long delivered, cur_pub_ns;
static int counting, pubready, nstalled;
static uint64_t hist[64 * 64];
static long lat_n, lat_max;
#define RB (1 << 20)
static char *rb;

static long now_ns(void) { struct timespec t; clock_gettime(CLOCK_MONOTONIC, &t); return t.tv_sec * 1000000000L + t.tv_nsec; }
static void die(const char *m) { perror(m); exit(1); }

static void lat_add(long v) {
    if (v < 0) v = 0;
    if (v > lat_max) lat_max = v;
    unsigned long u = v; int e = u < 64 ? 0 : 63 - __builtin_clzl(u) - 5;
    int i = e * 64 + (int)(u >> e); if (e) i = e * 64 + (int)((u >> e) & 63);
    if (i >= 64 * 64) i = 64 * 64 - 1;
    hist[i]++; lat_n++;
}
static double lat_q(double q) {
    long want = (long)(q * lat_n), c = 0;
    for (int i = 0; i < 64 * 64; i++) { c += hist[i]; if (hist[i] && c > want) { int e = i / 64; long v = e ? ((long)(i % 64) << e) : i; return v / 1e6; } }
    return lat_max / 1e6;
}

/* ---- server process accounting ---- */
static void proc_cpu(double *tot, double *usr, double *sys) {
    *tot = *usr = *sys = 0;
    for (int i = 0; i < npids; i++) {
        char f[96], b[1024]; snprintf(f, sizeof f, "/proc/%d/stat", pids[i]);
        FILE *h = fopen(f, "r"); if (!h) continue;
        size_t n = fread(b, 1, sizeof b - 1, h); b[n] = 0; fclose(h);
        char *p = strrchr(b, ')'); unsigned long u, s;
        if (p && sscanf(p + 2, "%*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &u, &s) == 2) { *usr += u / 100.0; *sys += s / 100.0; }
        snprintf(f, sizeof f, "/proc/%d/task", pids[i]);
        DIR *d = opendir(f); struct dirent *e; if (!d) continue;
        while ((e = readdir(d))) { if (e->d_name[0] == '.') continue;
            char g[160]; snprintf(g, sizeof g, "/proc/%d/task/%s/schedstat", pids[i], e->d_name);
            if ((h = fopen(g, "r"))) { unsigned long ns; if (fscanf(h, "%lu", &ns) == 1) *tot += ns / 1e9; fclose(h); } }
        closedir(d);
    }
}
static long proc_rss(void) {
    long r = 0;
    for (int i = 0; i < npids; i++) { char f[64], l[256]; snprintf(f, sizeof f, "/proc/%d/status", pids[i]); FILE *h = fopen(f, "r"); if (!h) continue;
        while (fgets(l, sizeof l, h)) { long k; if (sscanf(l, "VmRSS: %ld", &k) == 1) r += k * 1024; } fclose(h); }
    return r;
}

/* ---- output ---- */
static void wr(conn *c, const char *b, size_t n) {
    while (n) { ssize_t k = write(c->fd, b, n);
        if (k < 0) { if (errno == EAGAIN) { usleep(50); continue; } return; }
        b += k; n -= k; }
}
static size_t frame(char *o, int op, const char *b, size_t n) { /* masked with key 0: payload unchanged */
    size_t h = 0; o[h++] = 0x80 | op;
    if (n < 126) o[h++] = 0x80 | n; else { o[h++] = 0x80 | 126; o[h++] = n >> 8; o[h++] = n; }
    memset(o + h, 0, 4); h += 4; memcpy(o + h, b, n); return h + n;
}
static void wsend(conn *c, int op, const char *b, size_t n) { char o[8192]; wr(c, o, frame(o, op, b, n)); }

static void upgrade(conn *c) {
    char b[4096], pa[2048]; int n;
    const char *p = c->sub ? path : (pubws ? pubws : pubhttp);
    const char *at = c->sub && ntokens ? strstr(p, "%s") : 0;
    if (at) snprintf(pa, sizeof pa, "%.*s%s%s", (int)(at - p), p, tokens[c->idx % ntokens], at + 2);
    else snprintf(pa, sizeof pa, "%s", p);
    if (c->sub && !strcmp(kind, "sse"))
        n = snprintf(b, sizeof b, "GET %s HTTP/1.1\r\nHost: %s:%d\r\nAccept: text/event-stream\r\n%s%s\r\n", pa, ip, port, hdr ? hdr : "", hdr ? "\r\n" : "");
    else
        n = snprintf(b, sizeof b, "GET %s HTTP/1.1\r\nHost: %s:%d\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n%s%s%s%s%s%s\r\n",
            pa, ip, port, proto ? "Sec-WebSocket-Protocol: " : "", proto ? proto : "", proto ? "\r\n" : "",
            deflate && c->sub ? "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n" : "", hdr ? hdr : "", hdr ? "\r\n" : "");
    wr(c, b, n);
}
static void ready(conn *c) {
    if (!c->sub) { pubready = 1; return; }
    if (c->up++) return;
    nready++, ninflight--;
    if (stall && c->idx % 100 < stall) { epoll_ctl(ep, EPOLL_CTL_DEL, c->fd, 0); nstalled++; }
}
static void opened(conn *c) { /* upgrade answered: protocol-level hello */
    c->st = OPEN;
    if (!strcmp(kind, "mqtt")) {
        wsend(c, 2, "\x10\x0c\x00\x04MQTT\x04\x02\x00\x00\x00\x00", 14);
        if (c->sub) wsend(c, 2, "\x82\x0a\x00\x01\x00\x05""bench\x00", 12); else ready(c);
        return; /* a subscriber is ready at SUBACK */
    }
    if (!strcmp(kind, "nats")) {
        const char *h = "CONNECT {\"verbose\":false,\"pedantic\":false,\"echo\":true}\r\n"; wsend(c, 2, h, strlen(h));
        if (c->sub) wsend(c, 2, "SUB bench 1\r\nPING\r\n", 19); else wsend(c, 2, "PING\r\n", 6);
        return; /* ready at PONG */
    }
    if (!strcmp(kind, "sio")) return; /* ready at 40 */
    if (c->sub && first) wsend(c, 1, first, strlen(first));
    if (!c->sub || !awaited) ready(c);
}
static void drop(conn *c) {
    if (c->st == DEAD) return;
    if (c->sub) { ndead++; if (!c->up) ninflight--; }
    c->st = DEAD; close(c->fd);
}

/* ---- input ---- */
static void scan(const char *b, size_t n, long t) { /* count every "t": in a complete piece */
    const char *e = b + n;
    while (b < e && (b = memmem(b, e - b, "\"t\":", 4))) {
        b += 4; if (b < e && *b == ' ') b++;
        long v = 0; while (b < e && *b >= '0' && *b <= '9') v = v * 10 + (*b++ - '0');
        if (v == 0) continue;
        if (counting) lat_add(t - v);
        delivered++;
    }
}
static int one_scan_ok(void) { return !strcmp(kind, "mqtt") || !strcmp(kind, "nats"); }
static void text_of(conn *c, int op, int rsv, char *p, size_t n, long t) {
    if (!c->sub) { if (!strcmp(kind, "nats")) { if (memmem(p, n, "PONG", 4) && !pubready) ready(c); if (memmem(p, n, "PING", 4)) wsend(c, 2, "PONG\r\n", 6); }
        else if (!strcmp(kind, "sio")) { if (p[0] == '0') wsend(c, 1, "40", 2); else if (p[0] == '4' && n > 1 && p[1] == '0') ready(c); else if (p[0] == '2') wsend(c, 1, "3", 1); }
        return; }
    if (rsv) { delivered++; if (counting) lat_add(t - cur_pub_ns); return; }
    if (!strcmp(kind, "sio") && n && !c->sio) {
        if (p[0] == '0') { wsend(c, 1, "40", 2); return; }
        if (p[0] == '4' && n > 1 && p[1] == '0') { c->sio = 1; ready(c); return; } }
    if (!strcmp(kind, "sio") && n == 1 && p[0] == '2') { wsend(c, 1, "3", 1); return; }
    if (one_scan_ok() && n < 700) {
        if (!strcmp(kind, "mqtt")) { for (size_t i = 0; !c->sio && i + 1 < n; i++) if ((unsigned char)p[i] == 0x90) { c->sio = 1; ready(c); } }
        else { if (!c->sio && memmem(p, n, "PONG", 4)) { c->sio = 1; ready(c); }
               if (memmem(p, n, "PING\r\n", 6)) wsend(c, 2, "PONG\r\n", 6); } }
    if (awaited && !c->up && memmem(p, n, awaited, strlen(awaited))) ready(c);
    scan(p, n, t);
}
static size_t eat_ws(conn *c, char *b, size_t n, long t) { /* returns bytes used */
    size_t o = 0;
    while (n - o >= 2) {
        unsigned char b0 = b[o], b1 = b[o + 1]; size_t h = 2, l = b1 & 127;
        if (l == 126) { if (n - o < 4) break; l = (unsigned char)b[o + 2] << 8 | (unsigned char)b[o + 3]; h = 4; }
        else if (l == 127) { if (n - o < 10) break; l = 0; for (int i = 0; i < 8; i++) l = l << 8 | (unsigned char)b[o + 2 + i]; h = 10; }
        if (n - o < h + l) break;
        int op = b0 & 15; char *p = b + o + h;
        if (op == 9) wsend(c, 10, p, l);
        else if (op == 8) { drop(c); return n; }
        else if (op != 10) text_of(c, op, b0 & 0x40, p, l, t);
        o += h + l;
        if (c->st == DEAD) return n;
    }
    return o;
}
static int httppending;
static void on_read(conn *c) {
    for (;;) {
        int have = c->nsave;
        if (have) memcpy(rb, c->save, have);
        ssize_t k = read(c->fd, rb + have, RB - have - 1);
        if (k <= 0) { if (k < 0 && (errno == EAGAIN || errno == EINTR)) return; drop(c); return; }
        long t = now_ns(); size_t n = have + k, used = 0; c->nsave = 0;
        if (!c->sub && pubhttp) { httppending = 0; return; }
        if (c->st == HANDSHAKE) {
            char *e = memmem(rb, n, "\r\n\r\n", 4);
            if (e) { e[2] = 0;
                if (!strncmp(rb, "HTTP/1.1 101", 12) || !strncmp(rb, "HTTP/1.1 200", 12)) { used = e + 4 - rb; opened(c); }
                else { static int once; if (!once++) fprintf(stderr, "refused: %.300s\n", rb); drop(c); return; } }
        }
        if (c->st == OPEN && used < n) {
            if (c->sub && !strcmp(kind, "sse")) { /* whole lines only */
                char *e = memrchr(rb + used, '\n', n - used);
                if (e) { if (awaited && !c->up && memmem(rb + used, e - (rb + used), awaited, strlen(awaited))) ready(c);
                    scan(rb + used, e + 1 - (rb + used), t); used = e + 1 - rb; } }
            else used += eat_ws(c, rb + used, n - used, t);
        }
        if (c->st == DEAD) return;
        if (used < n) { c->save = realloc(c->save, n - used); memcpy(c->save, rb + used, n - used); c->nsave = n - used; }
        if (k < RB - have - 1) return;
    }
}
static void start(conn *c, int prt) {
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(prt)}; inet_pton(AF_INET, ip, &a.sin_addr);
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0); if (c->fd < 0) die("socket");
    struct linger l = {1, 0}; setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &l, sizeof l);
    int one = 1; setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (c->sub && stall && c->idx % 100 < stall) {
        int least = 1, mss = 536; /* the other side's send buffer is sized by it: 2.6 MB with loopback's 64 KB */
        setsockopt(c->fd, SOL_SOCKET, SO_RCVBUF, &least, sizeof least); setsockopt(c->fd, IPPROTO_TCP, TCP_MAXSEG, &mss, sizeof mss); }
    c->st = CONNECTING;
    struct epoll_event e = {.events = EPOLLIN | EPOLLOUT, .data.ptr = c};
    if (epoll_ctl(ep, EPOLL_CTL_ADD, c->fd, &e)) die("epoll_ctl");
    if (connect(c->fd, (void *)&a, sizeof a) && errno != EINPROGRESS) { drop(c); }
}
static void poll_once(int ms) {
    struct epoll_event ev[512]; int n = epoll_wait(ep, ev, 512, ms);
    for (int i = 0; i < n; i++) { conn *c = ev[i].data.ptr;
        if (c->st == DEAD) continue;
        if (c->st == CONNECTING && (ev[i].events & (EPOLLOUT | EPOLLERR))) {
            int er = 0; socklen_t l = sizeof er; getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &er, &l);
            if (er) { drop(c); continue; }
            struct epoll_event e = {.events = EPOLLIN, .data.ptr = c}; epoll_ctl(ep, EPOLL_CTL_MOD, c->fd, &e);
            if (!c->sub && pubhttp) { c->st = OPEN; pubready = 1; } else { c->st = HANDSHAKE; upgrade(c); }
            continue; }
        if (ev[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR)) on_read(c);
    }
}
static size_t body(char *o) {
    size_t h = sprintf(o, "%s", wrap[0]), n = h + sprintf(o + h, "{\"type\":\"message\",\"channel\":\"bench\",\"t\":%ld,\"pad\":\"", now_ns());
    while ((int)(n - h) < size - 2) o[n++] = 'x';
    o[n++] = '"'; o[n++] = '}'; n += sprintf(o + n, "%s", wrap[1]); return n;
}
static void post(const char *m, size_t n) { /* one POST, no pipelining */
    static char w[1 << 20];
    size_t k = snprintf(w, sizeof w, "POST %s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nContent-Type: application/json\r\n%s%sContent-Length: %zu\r\n\r\n%.*s", pubhttp, pubport ? pubport : port, pubhdr ? pubhdr : "", pubhdr ? "\r\n" : "", n, (int)n, m);
    wr(&pub, w, k); httppending = 1;
    long t0 = now_ns(); while (httppending && now_ns() - t0 < 5e9) poll_once(10);
}
static void publish(int k) {
    static char o[1 << 20]; char m[8192], w[9000]; size_t on = 0;
    cur_pub_ns = now_ns();
    if (pubhttp && join[0]) {
        on = sprintf(o, "%s", join[0]);
        for (int i = 0; i < k; i++) { if (i) o[on++] = ','; on += body(o + on); }
        on += sprintf(o + on, "%s", join[1]); post(o, on); return; }
    for (int i = 0; i < k; i++) {
        size_t n = body(m);
        if (pubhttp) {
            post(m, n);
            continue; }
        if (!strcmp(kind, "mqtt")) { int rl = 2 + 5 + n; size_t h = 0; w[h++] = 0x30; do { int d = rl & 127; rl >>= 7; w[h++] = d | (rl ? 128 : 0); } while (rl); w[h++] = 0; w[h++] = 5; memcpy(w + h, "bench", 5); h += 5; memcpy(w + h, m, n); on += frame(o + on, 2, w, h + n); }
        else if (!strcmp(kind, "nats")) { int h = sprintf(w, "PUB bench %zu\r\n%s\r\n", n, m); on += frame(o + on, 2, w, h); }
        else if (!strcmp(kind, "sio")) { int h = sprintf(w, "42[\"pub\",%s]", m); on += frame(o + on, 1, w, h); }
        else on += frame(o + on, 1, m, n);
    }
    if (on) wr(&pub, o, on);
}
static int wait_for(long want, double secs) { /* until delivered >= want or no progress for secs */
    long last = delivered, t = now_ns();
    while (delivered < want) { poll_once(100); if (delivered != last) { last = delivered; t = now_ns(); } else if (now_ns() - t > secs * 1e9) return 0; }
    return 1;
}
static void read_tokens(const char *name) {
    char l[4096]; FILE *h = fopen(name, "r"); if (!h) die(name);
    while (ntokens < 4096 && fgets(l, sizeof l, h)) { l[strcspn(l, "\n")] = 0; tokens[ntokens++] = strdup(l); }
    fclose(h);
}
int main(int argc, char **argv) {
    int o; char *p;
    while ((o = getopt(argc, argv, "h:p:u:n:c:M:T:s:r:b:k:m:P:H:xo:O:q:w:W:S:iG:B:J:t:A:Z:I:")) != -1) switch (o) {
        case 'h': ip = optarg; break; case 'p': port = atoi(optarg); break; case 'u': path = optarg; break;
        case 'n': N = atoi(optarg); break; case 'c': C = atoi(optarg); break; case 'M': M = atoi(optarg); break;
        case 'T': T = atof(optarg); break; case 's': size = atoi(optarg); break; case 'r': rate = atof(optarg); break;
        case 'b': burst = atoi(optarg); break; case 'k': kind = optarg; break; case 'm': first = optarg; break;
        case 'P': proto = optarg; break; case 'H': hdr = optarg; break; case 'x': deflate = 1; break;
        case 'o': pubws = optarg; break; case 'O': pubhttp = optarg; break; case 'q': pubport = atoi(optarg); break;
        case 'w': settle = atoi(optarg); break; case 'W': warm = atoi(optarg); break; case 'i': idle_only = 1; break;
        case 'G': pubhdr = optarg; break; case 'A': awaited = optarg; break; case 'Z': stall = atoi(optarg); break; case 'I': idle_s = atof(optarg); break;
        case 't': read_tokens(optarg); break;
        case 'B': wrap[0] = optarg; p = strchr(optarg, '|'); *p = 0; wrap[1] = p + 1; break;
        case 'J': join[0] = optarg; p = strchr(optarg, '|'); *p = 0; join[1] = p + 1; break;
        case 'S': for (p = strtok(optarg, ","); p && npids < 64; p = strtok(0, ",")) pids[npids++] = atoi(p); break;
        default: fprintf(stderr, "see the comment at the top of wsload.c\n"); return 2; }
    if (!port) { fprintf(stderr, "-p PORT needed\n"); return 2; }
    struct rlimit rl; getrlimit(RLIMIT_NOFILE, &rl); rl.rlim_cur = rl.rlim_max; setrlimit(RLIMIT_NOFILE, &rl);
    rb = malloc(RB); ep = epoll_create1(0); cs = calloc(N, sizeof *cs);
    long rss0 = proc_rss(); double c0, u0, s0, c1, u1, s1, cc0;
    proc_cpu(&cc0, &u0, &s0);
    long t0 = now_ns(), tp = t0; int lastr = -1;
    while (nready + ndead < N) {
        while (ninflight < C && nstarted < N) { conn *c = &cs[nstarted]; c->idx = nstarted++; c->sub = 1; ninflight++; start(c, port); }
        poll_once(100);
        if (nready != lastr) { lastr = nready; tp = now_ns(); } else if (now_ns() - tp > 10e9) { fprintf(stderr, "connect stalled at %d\n", nready); break; }
    }
    double tc = (now_ns() - t0) / 1e9; double ccx, ux, sx; proc_cpu(&ccx, &ux, &sx);
    if (!idle_only) { start(&pub, pubport ? pubport : port); long t = now_ns(); while (!pubready && now_ns() - t < 5e9) poll_once(50); if (!pubready) { fprintf(stderr, "publisher not ready\n"); return 1; } }
    long te = now_ns() + settle * 1000000L; while (now_ns() < te) poll_once(20);
    long rss1 = proc_rss();
    printf("{\"n\":%d,\"ready\":%d,\"dead\":%d,\"connect_s\":%.3f,\"conn_per_s\":%.0f,\"conn_cpu_us\":%.1f,\"rss0\":%ld,\"rss1\":%ld,\"bytes_per_conn\":%.0f", N, nready, ndead, tc, nready / tc, (ccx - cc0) * 1e6 / N, rss0, rss1, (double)(rss1 - rss0) / N);
    if (idle_only) {
        double i0, i1; proc_cpu(&i0, &u0, &s0); long b = now_ns(), e = b + (long)(idle_s * 1e9);
        while (now_ns() < e) poll_once(100);
        proc_cpu(&i1, &u1, &s1);
        printf(",\"idle_s\":%.2f,\"idle_cpu_s\":%.4f,\"dead_idle\":%d,\"rss_idle\":%ld}\n", (now_ns() - b) / 1e9, i1 - i0, ndead, proc_rss()); return 0; }
    int live = nready - nstalled > 0 ? nready - nstalled : 0;
    for (int i = 0; i < warm; i++) { long w = delivered + live; publish(1); if (!wait_for(w, 5)) fprintf(stderr, "warm-up %d: short by %ld\n", i, w - delivered); }
    delivered = 0; counting = 1; ndead = 0; long sent = 0; proc_cpu(&c0, &u0, &s0); t0 = now_ns();
    struct rusage r0, r1; getrusage(RUSAGE_SELF, &r0);
    if (rate > 0) {
        while (sent < M && now_ns() - t0 < T * 1e9) {
            long due = (long)((now_ns() - t0) / 1e9 * rate) + 1; if (due > M) due = M;
            if (sent < due) { publish(1); sent++; } 
            long nx = t0 + (long)(sent / rate * 1e9); int ms = (nx - now_ns()) / 1000000; poll_once(ms > 0 ? ms : 0); }
        wait_for(sent * live, 5);
    } else while (sent < M && now_ns() - t0 < T * 1e9) { publish(burst); sent += burst; if (!wait_for(sent * live, 5)) break; }
    long t1 = now_ns(); proc_cpu(&c1, &u1, &s1); getrusage(RUSAGE_SELF, &r1); double dt = (t1 - t0) / 1e9;
    double gcpu = (r1.ru_utime.tv_sec - r0.ru_utime.tv_sec + r1.ru_stime.tv_sec - r0.ru_stime.tv_sec) + (r1.ru_utime.tv_usec - r0.ru_utime.tv_usec + r1.ru_stime.tv_usec - r0.ru_stime.tv_usec) / 1e6;
    long rss2 = proc_rss();
    printf(",\"messages\":%ld,\"delivered\":%ld,\"lost\":%ld,\"seconds\":%.3f,\"per_s\":%.0f,\"p50_ms\":%.3f,\"p99_ms\":%.3f,\"p999_ms\":%.3f,\"max_ms\":%.3f,\"cpu_s\":%.4f,\"user_s\":%.2f,\"sys_s\":%.2f,\"cpu_us\":%.3f,\"srv_busy\":%.2f,\"gen_us\":%.3f,\"gen_busy\":%.2f,\"dead_in_run\":%d,\"rss2\":%ld}\n",
        sent, delivered, sent * live - delivered, dt, delivered / dt, lat_q(.5), lat_q(.99), lat_q(.999), lat_max / 1e6, c1 - c0, u1 - u0, s1 - s0, (c1 - c0) * 1e6 / (delivered ? delivered : 1), (c1 - c0) / dt, gcpu * 1e6 / (delivered ? delivered : 1), gcpu / dt, ndead, rss2);
    return 0;
}
