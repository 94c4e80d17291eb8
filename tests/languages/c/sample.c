/* Ring buffer of bytes. */
#include <stdlib.h>
#include <string.h>
#include "ring.h"

#define RING_MAX 4096
#define RING_NEXT(r, i) (((i) + 1) % (r)->size)

typedef unsigned char byte;

typedef struct ring {
    byte *data;
    size_t size, head, tail;
} ring_t;

struct ring_stats {
    long reads;
    long writes;
};

enum ring_mode { RING_BLOCK, RING_DROP = 4 };

typedef int (*ring_callback)(const ring_t *ring, void *user);

union word {
    int i;
    float f;
};

static const int default_size = 64;
extern int ring_debug;

/* Makes a ring of SIZE bytes; NULL when there is no memory. */
ring_t *
ring_new(size_t size)
{
    ring_t *ring = calloc(1, sizeof *ring);
    if (!ring)
        return NULL;
    ring->data = malloc(size ? size : default_size);
    ring->size = size;
    return ring;
}

#ifdef RING_THREADS
static int ring_lock(ring_t *ring)
{
    return pthread_mutex_lock(&ring->lock);
}
#else
static int ring_lock(ring_t *ring) { (void)ring; return 0; }
#endif

int ring_put(ring_t *ring, const byte *bytes, size_t count);

RING_API int ring_put(ring_t *ring, const byte *bytes, size_t count) {
    size_t i;
    for (i = 0; i < count; i++) {
        ring->data[ring->head] = bytes[i];
        ring->head = RING_NEXT(ring, ring->head);
    }
    return (int)count;
}

void (*ring_handler(int signal))(int) {
    return 0;
}
