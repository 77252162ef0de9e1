/// What lies on either side of a place in the text.
struct TextEdges {
  let bytes: UnsafeBufferPointer<UInt8>
  let range: Range<Int>
  let classes: UnicodeClasses

  /// The scalar that ends at a place, and where it starts; nil at the start of the text.
  private func scalar(before position: Int) -> (value: UInt32, start: Int)? {
    var start = position
    repeat {
      guard start > range.lowerBound else { return nil }
      start -= 1
    } while bytes[start] & 0xC0 == 0x80
    return UTF8Scalars.element(in: bytes, at: start).scalar.map { ($0, start) }
  }

  /// The scalar that starts at a place, and where it ends; nil at the end of the text.
  private func scalar(after position: Int) -> (value: UInt32, end: Int)? {
    guard position < range.upperBound else { return nil }
    let element = UTF8Scalars.element(in: bytes, at: position)
    return element.scalar.map { ($0, position + element.length) }
  }

  func wordEnds(at position: Int) -> Bool {
    scalar(before: position).map { classes.isWord($0.value) } ?? false
  }

  func wordStarts(at position: Int) -> Bool {
    scalar(after: position).map { classes.isWord($0.value) } ?? false
  }

  func startOfSpace(endingAt position: Int) -> Int {
    var position = position
    while let (value, start) = scalar(before: position), classes.isSpace(value) { position = start }
    return position
  }

  func endOfSpace(startingAt position: Int) -> Int {
    var position = position
    while let (value, end) = scalar(after: position), classes.isSpace(value) { position = end }
    return position
  }
}
