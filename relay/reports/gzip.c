#include "relay/reports/report.h"

#define ZLIB_CONST /* what is read is const */
#include <zlib.h>

#define GZIP_WINDOW (15 + 16) /* a gzip header around it, says zlib.h */
#define MEMORY_LEVEL 8

void report_gzip(struct span bytes, struct buffer *to)
{
    z_stream stream = {0};
    must(bytes.length <= UINT32_MAX);
    must(deflateInit2(&stream, Z_BEST_COMPRESSION, Z_DEFLATED, GZIP_WINDOW, MEMORY_LEVEL,
                      Z_DEFAULT_STRATEGY) == Z_OK);
    size_t room = deflateBound(&stream, (uLong)bytes.length);
    must(room <= UINT32_MAX);
    stream.next_in = (z_const Bytef *)bytes.data;
    stream.avail_in = (uInt)bytes.length;
    stream.next_out = (Bytef *)buffer_room(to, room);
    stream.avail_out = (uInt)room;
    must(deflate(&stream, Z_FINISH) == Z_STREAM_END);
    buffer_grew(to, room - stream.avail_out);
    deflateEnd(&stream);
}
