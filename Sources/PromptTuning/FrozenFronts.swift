import Autodiff
import Compute
import LanguageModels

/// Keys and values of what texts begin with, where nothing trainable stands in front of them: computed once a run.
///
/// They depend on the tokens alone, so it does not matter when they are computed, and a resumed run has the same bits.
final class FrozenFronts {
  private struct Front {
    let tokens: [Int32]
    let cache: KeyValueCache
  }

  /// Tokens are kept in multiples of this: where a demonstration ends and texts happen to go on alike, each batch would
  /// have a front of its own.
  static let grain = 16
  /// Fronts that are kept: a batch whose texts have more in common than usual does not drive out the usual one.
  private static let kept = 2

  private let model: any LanguageModel
  /// The one that was used last comes last.
  private var fronts: [Front] = []
  /// How many were computed.
  private(set) var computed = 0

  init(_ model: any LanguageModel) { self.model = model }

  /// The first of these tokens, of which keys and values are kept; the others are rows of a batch.
  static func part(of start: [Int32]) -> [Int32] { Array(start.prefix(start.count / grain * grain)) }

  /// The keys and values of tokens at the first positions, in every layer.
  func prefixes(_ tokens: [Int32], on tape: Tape) throws -> LayerPrefixes {
    let front: Front
    if let known = fronts.firstIndex(where: { $0.tokens == tokens }) {
      front = fronts.remove(at: known)
    } else {
      // First make room, then ask for memory.
      fronts.removeFirst(max(0, fronts.count - Self.kept + 1))
      front = Front(tokens: tokens, cache: try states(tokens, checksFiniteness: tape.checksFiniteness))
      computed += 1
    }
    fronts.append(front)
    return LayerPrefixes(
      keys: front.cache.keys.map { tape.constant($0, name: "front keys") },
      values: front.cache.values.map { tape.constant($0, name: "front values") })
  }

  private func states(_ tokens: [Int32], checksFiniteness: Bool) throws -> KeyValueCache {
    let cache = try KeyValueCache(capacity: tokens.count, for: model)
    let tape = Tape(model.backend, isRecording: false, checksFiniteness: checksFiniteness)
    let batch = try PackedBatch.storing(0..<tokens.count, keyCount: cache.capacity, on: model.backend)
    _ = try model.encode(try model.embed(tokens, on: tape), batch, cache: cache, on: tape)
    return cache
  }
}
