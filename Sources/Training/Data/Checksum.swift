import CZlib

/// A running CRC-32 over token ids.
///
/// It finds accidents, not attacks.
struct Checksum {
  private(set) var value: UInt32 = 0

  mutating func add(_ tokens: [Int32]) {
    tokens.withUnsafeBytes { bytes in
      guard let base = bytes.baseAddress else { return }
      value = UInt32(
        truncatingIfNeeded: crc32(UInt(value), base.assumingMemoryBound(to: UInt8.self), UInt32(clamping: bytes.count)))
    }
    // The length counts too, so that moving a token from one list to the next is seen.
    withUnsafeBytes(of: UInt64(tokens.count).littleEndian) { bytes in
      guard let base = bytes.baseAddress else { return }
      value = UInt32(
        truncatingIfNeeded: crc32(UInt(value), base.assumingMemoryBound(to: UInt8.self), UInt32(bytes.count)))
    }
  }
}
