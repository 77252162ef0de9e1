import Autodiff
import Compute
import LanguageModels

/// The mean of a frozen model's final hidden states of each text without a prompt, computed once.
///
/// Exact, because the model neither changes nor drops anything out. Each text is computed alone, so that its features do
/// not depend on what it is in a batch with, and a resumed run has the same ones. Of an encoder-decoder these are the
/// encoder's states.
final class FeatureCache {
  private let model: any LanguageModel
  private var known: [[Int32]: [Float]] = [:]
  /// Fingerprints of all texts whose features were needed so far, in order, those of a run before it was resumed
  /// included.
  private(set) var seen: [UInt64] = []
  private var seenSet: Set<UInt64> = []

  /// Bytes of features that are kept; further ones are computed each time.
  static let capacity = 1 << 30

  init(_ model: any LanguageModel) { self.model = model }

  /// `[texts, hiddenWidth]`.
  func features(of texts: [[Int32]]) throws -> Tensor {
    let width = model.facts.hiddenWidth
    var values: [Float] = []
    values.reserveCapacity(texts.count * width)
    for text in texts { values += try known[text] ?? compute(text) }
    return try model.backend.tensor(values, [texts.count, width])
  }

  /// Takes note of texts whose features were needed before; they are computed again when they are needed again.
  func restore(_ fingerprints: [UInt64]) {
    for fingerprint in fingerprints { note(fingerprint) }
  }

  private func note(_ fingerprint: UInt64) {
    if seenSet.insert(fingerprint).inserted { seen.append(fingerprint) }
  }

  private func compute(_ text: [Int32]) throws -> [Float] {
    let backend = model.backend
    let tape = Tape(backend, isRecording: false)
    let batch =
      model.facts.kind == .causal
      ? try PackedBatch.causal(
        promptLength: 0, [PackedSequence(length: text.count, outputs: text.count)], on: backend)
      : try PackedBatch.bidirectional(promptLength: 0, [text.count], on: backend)
    let states = try model.encode(try model.embed(text, on: tape), batch, cache: nil, on: tape).value
    let mean = try backend.values(try backend.scale(try backend.columnSums(states), by: 1 / Float(text.count)))
    note(TokenFingerprint.of(text))
    if (known.count + 1) * mean.count * DType.f32.byteCount <= Self.capacity { known[text] = mean }
    return mean
  }
}

/// A number that stands for a text: FNV-1a over its tokens.
enum TokenFingerprint {
  static func of(_ tokens: [Int32]) -> UInt64 {
    tokens.reduce(0xCBF2_9CE4_8422_2325) { hash, token in
      (hash ^ UInt64(UInt32(bitPattern: token))) &* 0x0000_0100_0000_01B3
    }
  }
}
