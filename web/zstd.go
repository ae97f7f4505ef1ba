package web

import (
	"io"

	"github.com/klauspost/compress/zstd"
	"google.golang.org/grpc/encoding"
)

// zstdCompression lets gRPC clients send zstd, as collectors can.
type zstdCompression struct{}

func init() { encoding.RegisterCompressor(zstdCompression{}) } // gRPC knows no other place

// Name implements encoding.Compressor.
func (zstdCompression) Name() string { return "zstd" }

// Compress implements encoding.Compressor.
func (zstdCompression) Compress(w io.Writer) (io.WriteCloser, error) {
	return zstd.NewWriter(w, zstd.WithEncoderConcurrency(1))
}

// Decompress implements encoding.Compressor. gRPC bounds what is read and closes
// the reader.
func (zstdCompression) Decompress(r io.Reader) (io.Reader, error) {
	d, err := zstd.NewReader(r, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(64<<20))
	if err != nil {
		return nil, err
	}
	return d.IOReadCloser(), nil
}
