/// Beam search on one input: the context's keys and values are shared by all beams, each has rows for its own tokens.
final class BeamContinuation: Continuation {
  let index: Int
  let rows: Range<Int>
  let memory: Range<Int>?
  private let setting: ContinuationSetting
  private let limit: ContinuationLimit
  private let context: [Int32]
  private var search: BeamSearch
  /// The place of each running sequence's own rows, in the order of `search.running`.
  private var slots: [Int] = []

  /// - Parameter rows: as many cache rows as `rowCount` says.
  init(
    index: Int, context: [Int32], rows: Range<Int>, memory: Range<Int>?, limit: ContinuationLimit, beams: Int,
    lengthPenalty: Double, _ setting: ContinuationSetting
  ) {
    self.index = index
    self.rows = rows
    self.memory = memory
    self.setting = setting
    self.limit = limit
    self.context = context
    search = BeamSearch(
      beams: beams, lengthPenalty: lengthPenalty, stopTokens: setting.stopTokens, limit: limit.tokens)
  }

  /// How many cache rows are needed.
  static func rowCount(context: Int, limit: Int, beams: Int) -> Int { context + beams * limit }

  private var contextRows: Range<Int> { rows.lowerBound..<rows.lowerBound + context.count }

  private func slotRows(_ slot: Int, count: Int) -> Range<Int> {
    let start = contextRows.upperBound + slot * limit.tokens
    return start..<start + count
  }

  var requests: [DecodingRequest] {
    let front = setting.front.isEmpty ? [] : [setting.front]
    guard search.length > 0 else {
      return [
        DecodingRequest(
          input: index, step: 0, tokens: context, position: setting.front.count, shared: front, own: contextRows,
          memory: memory)
      ]
    }
    let position = setting.front.count + context.count + search.length - 1
    return zip(search.running, slots).map { sequence, slot in
      DecodingRequest(
        input: index, step: search.length, tokens: Array(sequence.tokens.suffix(1)), position: position,
        shared: front + [contextRows], own: slotRows(slot, count: search.length), memory: memory)
    }
  }

  func advance(_ scores: DecodingScores, first: Int) -> ContinuationStep {
    let rows = search.running.indices.map { scores.row(first + $0) }
    let computed = search.length
    guard let parents = search.advance(rows) else {
      guard let best = search.finished.first else { return .ended([], limit.stop) }
      return .ended(best.tokens, best.endsInStopToken ? .endToken : limit.stop)
    }
    let before = slots
    slots = Self.slots(for: parents, before: before, count: search.beams)
    guard computed > 0 else { return .goesOn(copies: []) }
    let copies = zip(parents, slots).compactMap { parent, slot in
      before[parent] == slot
        ? nil : CacheCopy(from: slotRows(before[parent], count: computed), to: slotRows(slot, count: computed))
    }
    return .goesOn(copies: copies)
  }

  /// Slots for the children of `parents`: the first child of each stays where its parent was, so that little is copied.
  private static func slots(for parents: [Int], before: [Int], count: Int) -> [Int] {
    var chosen = [Int?](repeating: nil, count: parents.count)
    var taken: Set<Int> = []
    for (child, parent) in parents.enumerated() where parent < before.count && taken.insert(before[parent]).inserted {
      chosen[child] = before[parent]
    }
    var free = (0..<count).filter { !taken.contains($0) }[...]
    return chosen.map { $0 ?? free.removeFirst() }
  }
}
