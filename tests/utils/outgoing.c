/* Preloaded into a process: writes every name look-up and every connection that would leave the machine to the file
   OUTGOING_LOG, and refuses it. Native libraries are caught as well as Python. */

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define REAL(function) ((__typeof__(&function))dlsym(RTLD_NEXT, #function))

static void record(const char *what, const char *target) {
    char line[600];
    const char *path = getenv("OUTGOING_LOG");
    int size = snprintf(line, sizeof line, "%s %s\n", what, target);
    int file = path ? open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600) : -1;
    if (file < 0 || write(file, line, size) != size) abort();
    close(file);
}

static int refused(const char *what, const struct sockaddr *to) {
    char address[INET6_ADDRSTRLEN] = "";
    if (to && to->sa_family == AF_INET) {
        const struct sockaddr_in *v4 = (const void *)to;
        int name_server = ntohs(v4->sin_port) == 53;
        if (ntohl(v4->sin_addr.s_addr) >> 24 == 127 && !name_server) return 0;
        inet_ntop(AF_INET, &v4->sin_addr, address, sizeof address);
    } else if (to && to->sa_family == AF_INET6) {
        const struct in6_addr *v6 = &((const struct sockaddr_in6 *)to)->sin6_addr;
        if (IN6_IS_ADDR_LOOPBACK(v6) || (IN6_IS_ADDR_V4MAPPED(v6) && v6->s6_addr[12] == 127)) return 0;
        inet_ntop(AF_INET6, v6, address, sizeof address);
    } else {
        return 0; /* sockets inside the machine */
    }
    record(what, address);
    errno = ENETUNREACH;
    return 1;
}

static int is_name(const char *host) {
    unsigned char address[16];
    return host && strcmp(host, "localhost") && inet_pton(AF_INET, host, address) != 1 &&
           inet_pton(AF_INET6, host, address) != 1;
}

int connect(int socket, const struct sockaddr *to, socklen_t size) {
    return refused("connect", to) ? -1 : REAL(connect)(socket, to, size);
}

ssize_t sendto(int socket, const void *data, size_t length, int flags, const struct sockaddr *to, socklen_t size) {
    return refused("sendto", to) ? -1 : REAL(sendto)(socket, data, length, flags, to, size);
}

ssize_t sendmsg(int socket, const struct msghdr *message, int flags) {
    return refused("sendmsg", message->msg_name) ? -1 : REAL(sendmsg)(socket, message, flags);
}

int getaddrinfo(const char *host, const char *service, const struct addrinfo *hints, struct addrinfo **found) {
    if (!is_name(host)) return REAL(getaddrinfo)(host, service, hints, found);
    record("look-up", host);
    return EAI_NONAME;
}

struct hostent *gethostbyname(const char *host) {
    if (!is_name(host)) return REAL(gethostbyname)(host);
    record("look-up", host);
    return NULL;
}

int gethostbyname_r(const char *host, struct hostent *entry, char *buffer, size_t size, struct hostent **found,
                    int *error) {
    if (!is_name(host)) return REAL(gethostbyname_r)(host, entry, buffer, size, found, error);
    record("look-up", host);
    *found = NULL;
    *error = HOST_NOT_FOUND;
    return 0;
}
