import Autodiff
import Compute

/// Hard choices of where and how many virtual tokens stand, and the soft ones that their gradients go to.
public struct PromptChoices {
  /// How the tokens of a position are arranged.
  public var order: PromptOptions.Order
  /// Position: `[examples, length + 1]`, or one row for all.
  public var position: Variable?
  /// Length: `[examples, length + 1]`, or one row for all.
  public var length: Variable?
}

/// One example of a batch whose rows were chosen from a table of virtual tokens and tokens.
struct AssembledExample {
  /// Its rows in the assembled matrix.
  var rows: Range<Int>
  /// The table's rows of its virtual tokens, all of them, in their own order.
  var virtual: Range<Int>
  /// The table's rows of its text, without a target.
  var text: Range<Int>
  var closing: Int
  var placement: PromptPlacement
}

extension Tape {
  /// Rows of a table in the order that hard choices gave, differentiable with respect to the choices.
  ///
  /// The straight-through estimate of Gumbel-Softmax has the assembled rows as the sum over all options, each times its
  /// weight. With G the gradient at the assembled rows and A_j what option j would have put there, the gradient of weight
  /// j is the sum of all elements of `G A_j`. All A_j are made of the same rows of the table, only in other places; so one
  /// product of G with those rows holds every term, and each gradient is a sum of some of its elements. No option but the
  /// chosen one is computed by the model. An option of length j has a factor of one on the first j virtual tokens; what
  /// was left out is not read and has no gradient. With both choices at once, the options of a position are arrangements
  /// of the tokens that the length kept, and the factors of a length lie on the tokens where the position put them.
  func assemble(
    _ table: Variable, sources: [Int32], _ examples: [AssembledExample], _ choices: PromptChoices?
  ) throws -> Variable {
    let indices = try backend.indices(sources)
    guard let choices else { return try gatherRows(table, indices) }
    let (backend, values, shape) = (backend, table.value, table.shape)
    let soft = [choices.position, choices.length]
    let inputs = [table] + soft.compactMap { $0 }
    let output = try backend.gatherRows(values, indices)
    return try record("assemble", output, inputs: inputs) { cotangent, wanted in
      var parts: [Tensor?] = [nil]
      if wanted[0] {
        let gradient = try backend.zeros(shape)
        try backend.scatterAddRows(indices, updates: cotangent, onto: gradient)
        parts[0] = gradient
      }
      for (kind, variable) in soft.enumerated() {
        guard let variable else { continue }
        var gradient = [Double](repeating: 0, count: variable.shape.count)
        let count = variable.shape[1]
        for (number, example) in examples.enumerated() {
          let own = try cotangent.rows(example.rows)
          let part =
            kind == 0
            ? try positionGradient(own, values, example, choices.order, on: backend)
            : try lengthGradient(own, values, example, on: backend)
          let row = variable.shape[0] == 1 ? 0 : number
          for option in 0..<count { gradient[row * count + option] += part[option] }
        }
        parts.append(try backend.tensor(gradient.map(Float.init), variable.shape))
      }
      return parts
    }
  }
}

/// For each number of tokens behind the text, the sum of `G A` over an example's rows in front of its target.
private func positionGradient(
  _ cotangent: Tensor, _ table: Tensor, _ example: AssembledExample, _ order: PromptOptions.Order,
  on backend: any ComputeBackend
) throws -> [Double] {
  let (virtual, text) = (example.virtual.count, example.text.count)
  // Rows that a length left out are in no arrangement.
  let kept = example.placement.front.count + example.placement.back.count
  let count = kept + text
  let rows = try backend.indices((Array(example.virtual.prefix(kept)) + Array(example.text)).map(Int32.init))
  // Element (r, s): what row s of the table would have to do with the gradient at place r.
  let products = try backend.values(
    try backend.matmul(
      try cotangent.rows(0..<count), try backend.gatherRows(table, rows), MatmulOptions(transposeB: true)))
  return (0...virtual).map { behind in
    let placement = PromptPlacement(count: virtual, behind: behind, kept: kept, order: order)
    let places = placement.arrange(Array(kept..<count), closing: example.closing) { $0 }
    return places.enumerated().reduce(0.0) { $0 + Double(products[$1.offset * count + $1.element]) }
  }
}

/// For each length, the sum of `G A` over the virtual tokens that are there and that the length keeps.
private func lengthGradient(
  _ cotangent: Tensor, _ table: Tensor, _ example: AssembledExample, on backend: any ComputeBackend
) throws -> [Double] {
  let placement = example.placement
  let back = placement.front.count + example.text.count - example.closing
  let places = (0..<placement.front.count).map { $0 } + (0..<placement.back.count).map { back + $0 }
  var sums = [Double](repeating: 0, count: example.virtual.count)
  if !places.isEmpty {
    let tokens = placement.front + placement.back
    let gradients = try backend.gatherRows(cotangent, try backend.indices(places.map(Int32.init)))
    let rows = try backend.gatherRows(
      table, try backend.indices(tokens.map { Int32(example.virtual.lowerBound + $0) }))
    let width = rows.shape.columns
    let products = try backend.values(try backend.multiply(gradients, rows))
    for (number, token) in tokens.enumerated() {
      sums[token] = products[number * width..<(number + 1) * width].reduce(0.0) { $0 + Double($1) }
    }
  }
  return (0...sums.count).map { sums[..<$0].reduce(0, +) }
}
