/* limit.c - the physical limit: a C epoll WebSocket broadcast server; run.py compiles it.
 * limit PORT [0|1]   0: one send() per socket per message; 1: all frames of one read coalesced.
 * Everything a client of /pub sends is broadcast to all other connections. Measurement only. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>
static int subs[70000], nsubs, role[70000], pos[70000];
static char in[1 << 18], out[1 << 18];
static void all(const char *b, size_t n) { for (int i = 0; i < nsubs; i++) if (send(subs[i], b, n, MSG_DONTWAIT | MSG_NOSIGNAL) != (ssize_t)n) perror("send"); }
int main(int c, char **v) {
    int co = c > 2 && atoi(v[2]), one = 1, l = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), ep = epoll_create1(0);
    struct rlimit rl; getrlimit(RLIMIT_NOFILE, &rl); rl.rlim_cur = rl.rlim_max; setrlimit(RLIMIT_NOFILE, &rl);
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(atoi(v[1])), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    setsockopt(l, SOL_SOCKET, SO_REUSEADDR, &one, 4);
    if (bind(l, (void *)&a, sizeof a) || listen(l, 4096)) return perror("bind"), 1;
    struct epoll_event e = {.events = EPOLLIN, .data.fd = l}, ev[256]; epoll_ctl(ep, EPOLL_CTL_ADD, l, &e);
    for (;;) {
        int n = epoll_wait(ep, ev, 256, -1);
        for (int i = 0; i < n; i++) {
            int fd = ev[i].data.fd;
            if (fd == l) { int s; while ((s = accept4(l, 0, 0, SOCK_NONBLOCK)) >= 0) { setsockopt(s, IPPROTO_TCP, TCP_NODELAY, &one, 4); role[s] = 0; e.data.fd = s; epoll_ctl(ep, EPOLL_CTL_ADD, s, &e); } continue; }
            ssize_t k = read(fd, in, sizeof in - 1);
            if (k <= 0) { if (role[fd] == 1) { int p = pos[fd]; subs[p] = subs[--nsubs]; pos[subs[p]] = p; } close(fd); continue; }
            in[k] = 0;
            if (!role[fd]) {
                role[fd] = strstr(in, "GET /pub") ? 2 : 1;
                const char *r = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";
                if (write(fd, r, strlen(r)) < 0) perror("w");
                if (role[fd] == 1) { pos[fd] = nsubs; subs[nsubs++] = fd; }
                continue;
            }
            if (role[fd] != 2) continue;
            size_t o = 0, on = 0;
            while (o + 6 <= (size_t)k) {
                size_t len = in[o + 1] & 127, h = 2; if (len == 126) len = (unsigned char)in[o + 2] << 8 | (unsigned char)in[o + 3], h = 4;
                char *m = in + o + h, *p = m + 4; if (p + len > in + k) break;
                char *f = out + on; size_t fh = 2; f[0] = in[o];
                if (len < 126) f[1] = len; else f[1] = 126, f[2] = len >> 8, f[3] = len, fh = 4;
                for (size_t j = 0; j < len; j++) f[fh + j] = p[j] ^ m[j & 3];
                if (co) on += fh + len; else all(f, fh + len);
                o += h + 4 + len;
            }
            if (on) all(out, on);
        }
    }
}
