import Autodiff
import Compute
import LanguageModels

/// The mean of a frozen model's final hidden states of each text without a prompt, computed once.
///
/// Exact, because the model neither changes nor drops anything out. Texts that are asked for together and not known yet
/// are computed together, many in one pass; which ones those are changes a feature by no more than the rounding of other
/// block sizes. What is kept goes with a run's state (`FeatureValues`), so that a resumed run has the same bits and forms
/// the same passes; once the memory for it is full, each further text is computed alone, each time. Of an
/// encoder-decoder the states are the encoder's.
final class FeatureCache {
  private let model: any LanguageModel
  private let form: FeatureForm
  /// The place of each text in `seen`, by its fingerprint.
  private var places: [UInt64: Int] = [:]
  /// What was needed so far, that of a run before it was resumed included: all texts in order, and the features of the
  /// first ones, end to end.
  private(set) var seen = FeatureValues()
  /// Texts whose features are kept.
  private let capacity: Int

  /// Bytes of features that are kept.
  static let capacity = 1 << 28
  /// Rows that are computed in one pass, at most; a single longer text is computed alone.
  static let rowsPerPass = 4096

  /// - Parameter capacity: bytes of features that are kept.
  init(_ model: any LanguageModel, _ form: FeatureForm = .mean, capacity: Int = FeatureCache.capacity) {
    self.model = model
    self.form = form
    self.capacity = capacity / (model.facts.hiddenWidth * DType.f32.byteCount)
  }

  private var width: Int { model.facts.hiddenWidth }
  private var keptCount: Int { seen.values.count / width }

  /// `[texts, hiddenWidth]`.
  func features(of texts: [[Int32]]) throws -> Tensor {
    let names = texts.map(TokenFingerprint.of)
    var new: [UInt64: [Int32]] = [:]
    var order: [UInt64] = []
    for (name, text) in zip(names, texts) where places[name].map({ $0 >= keptCount }) ?? true {
      if new.updateValue(text, forKey: name) == nil { order.append(name) }
    }
    // As many as can be kept; none of them was needed before, because what is kept are the first ones.
    let isFull = seen.fingerprints.count > keptCount
    let together = order.prefix(isFull ? 0 : max(0, capacity - keptCount))
    var passing: [UInt64: [Float]] = [:]
    for pass in passes(together.map { new[$0] ?? [] }) {
      let names = Array(together[pass])
      for (name, values) in zip(names, try compute(names.map { new[$0] ?? [] })) {
        note(name)
        seen.values += values
      }
    }
    for name in order.dropFirst(together.count) {
      note(name)
      passing[name] = try compute([new[name] ?? []])[0]
    }
    var values: [Float] = []
    values.reserveCapacity(texts.count * width)
    for name in names {
      if let own = passing[name] {
        values += own
      } else if let place = places[name] {
        values += seen.values[place * width..<(place + 1) * width]
      }
    }
    return try model.backend.tensor(values, [texts.count, width])
  }

  /// Goes on from what was needed before.
  func restore(_ values: FeatureValues) {
    seen = values
    places = Dictionary(uniqueKeysWithValues: values.fingerprints.enumerated().map { ($1, $0) })
  }

  private func note(_ name: UInt64) {
    guard places[name] == nil else { return }
    places[name] = seen.fingerprints.count
    seen.fingerprints.append(name)
  }

  /// Texts in their order, in groups of not too many rows.
  private func passes(_ texts: [[Int32]]) -> [Range<Int>] {
    var passes: [Range<Int>] = []
    var rows = 0
    for (number, text) in texts.enumerated() {
      rows += form.rows(text.count)
      if let last = passes.last, rows <= Self.rowsPerPass {
        passes[passes.count - 1] = last.lowerBound..<number + 1
      } else {
        passes.append(number..<number + 1)
        rows = form.rows(text.count)
      }
    }
    return passes
  }

  /// The features of texts in one pass.
  private func compute(_ texts: [[Int32]]) throws -> [[Float]] {
    let backend = model.backend
    let tape = Tape(backend, isRecording: false)
    let batch = try form.batch(texts.map(\.count), model.facts.kind, on: backend)
    let states = try model.encode(try model.embed(form.tokens(texts), on: tape), batch, cache: nil, on: tape).value
    var row = 0
    let means = try texts.map { text in
      let count = form.rows(text.count)
      defer { row += count }
      return try backend.scale(try backend.columnSums(try states.rows(row..<row + count)), by: 1 / Float(count))
        .reshaped([1, width])
    }
    let values = try backend.values(try backend.concatRows(means))
    return texts.indices.map { Array(values[$0 * width..<($0 + 1) * width]) }
  }
}

/// Features that a run has needed, by the fingerprints of their texts.
public struct FeatureValues: Sendable, Hashable {
  /// `TokenFingerprint` of every text, in the order in which they were needed first.
  public var fingerprints: [UInt64]
  /// The features of the first of them, `[texts, hiddenWidth]`, row-major; the others are computed when they are needed.
  public var values: [Float]

  public init(fingerprints: [UInt64] = [], values: [Float] = []) {
    self.fingerprints = fingerprints
    self.values = values
  }
}

/// A number that stands for a text: FNV-1a over its tokens, 64 bits wide, so that among a million texts two have the same
/// one with a probability of 3e-8.
enum TokenFingerprint {
  static func of(_ tokens: [Int32]) -> UInt64 {
    tokens.reduce(0xCBF2_9CE4_8422_2325) { hash, token in
      (hash ^ UInt64(UInt32(bitPattern: token))) &* 0x0000_0100_0000_01B3
    }
  }
}
