// Included by the attention kernels: who sees whom, and what is added to a score.
//
// Host tables (int):
//   segments  6 per segment: first row of q, queries, position of the first query, first range, ranges, causal
//   ranges    4 per range of keys of a segment: first row of k, keys, position of the first key, own (1) or shared (0)
//   tiles     3 per tile of queries: segment, first query in the segment, queries
//   key_tiles 4 per tile of keys: first row of k, keys, first visitor, visitors
//   visitors  3 per segment that sees a tile of keys: segment, position of the tile's first key, own or shared
// A query at position p sees a key at position s if s > p - window, and s <= p where the segment is causal and the key
// its own.

#define NO_BIAS 0
#define ALIBI 1
#define RELATIVE 2

#define SEGMENT(i, field) segments[(i) * 6 + (field)]
#define RANGE(i, field) ranges[(i) * 4 + (field)]

// The first key of a range that a query sees, and the key behind the last one.
inline int first_key(int query_position, int start, int count, int window) {
  return min(count, max(0, (int)max((long)query_position - window + 1 - start, (long)0)));
}
inline int end_key(int query_position, int start, int count, int own, int causal) {
  return own && causal ? max(0, min(count, query_position - start + 1)) : count;
}

// The first query of a segment that sees a key, and the query behind the last one.
inline int first_query(int key_position, int start, int count, int own, int causal) {
  return own && causal ? min(count, max(0, key_position - start)) : 0;
}
inline int end_query(int key_position, int start, int count, int window) {
  return (int)min((long)count, max((long)0, (long)key_position + window - start));
}

// What a score of `head` gets for key position - query position. `buckets` tells the bucket of distances from
// -reach to reach; beyond, the last ones hold. The table is [buckets, heads].
inline float score_bias(
    int kind, const __global float *bias, const __global int *buckets, int reach, int distance, int head,
    int heads) {
  if (kind == ALIBI) return bias[head] * (float)distance;
  if (kind == RELATIVE) return bias[buckets[clamp(distance, -reach, reach) + reach] * heads + head];
  return 0.0f;
}
