/// The normaliser of BERT: cleaning, spaces around Chinese characters, accents, case.
///
/// Source: Devlin and others 2018.
struct BertNormalizer: Sendable {
  /// Removes control characters, and makes spaces of all white space.
  var cleansText = true
  var separatesChinese = true
  var stripsAccents = true
  var lowercases = true

  /// The normalised text.
  func apply(_ text: UnsafeBufferPointer<UInt8>) -> [UInt8] {
    let classes = UnicodeClasses.shared
    var result: [UInt8] = []
    result.reserveCapacity(text.count + text.count / 8)
    // Scalars outside ASCII wait until an ASCII character follows: marks are put in order among themselves.
    var waiting: [UInt32] = []
    UTF8Scalars.forEach(text) { scalar in
      var scalar = scalar
      if cleansText {
        if classes.isRemoved(scalar) { return }
        if classes.isSpace(scalar) { scalar = 0x20 }
      }
      if scalar < 0x80 {
        if !waiting.isEmpty { flush(&waiting, into: &result) }
        appendLowercase(scalar, to: &result)
      } else if separatesChinese && classes.isChinese(scalar) {
        flush(&waiting, into: &result)
        result.append(0x20)
        waiting.append(scalar)
        flush(&waiting, into: &result)
        result.append(0x20)
      } else {
        waiting.append(scalar)
      }
    }
    flush(&waiting, into: &result)
    return result
  }

  private func flush(_ waiting: inout [UInt32], into result: inout [UInt8]) {
    if stripsAccents {
      var parts: [UInt32] = []
      for scalar in waiting { NormalForm.nfd.decompose(scalar, into: &parts) }
      NormalForm.order(&parts)
      for scalar in parts where !UnicodeClasses.shared.isNonspacingMark(scalar) {
        appendLowercase(scalar, to: &result)
      }
    } else {
      for scalar in waiting { appendLowercase(scalar, to: &result) }
    }
    waiting.removeAll(keepingCapacity: true)
  }

  @inline(__always)
  private func appendLowercase(_ scalar: UInt32, to result: inout [UInt8]) {
    if lowercases {
      Normalizer.appendLowercase(scalar, to: &result)
    } else {
      UTF8Scalars.append(scalar, to: &result)
    }
  }
}
