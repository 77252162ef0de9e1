/// Every operation that can be checked, in the order of the protocol's families.
enum OperationTable {
  static let all: [any ConformanceOperation] = [
    MatmulOperation(), SoftmaxOperation(), LayerNormOperation(), RMSNormOperation(),
    ActivationOperation(.gelu), ActivationOperation(.silu), ActivationOperation(.relu), ActivationOperation(.tanh),
    GatedOperation(),
    BinaryOperation(.add), BinaryOperation(.multiply), ScaleOperation(), ScaleRowsOperation(), AddScaledOperation(),
    GatherRowsOperation(), ScatterAddRowsOperation(), ScatterRowsOperation(), ConcatOperation(.rows),
    ConcatOperation(.columns), SliceOperation(.rows), SliceOperation(.columns), ColumnSumsOperation(),
    ArgmaxRowsOperation(), RotaryOperation(), CrossEntropyOperation(), AttentionOperation(),
    AdamWOperation(), AdafactorOperation(), SGDOperation(),
    ReductionOperation(.sum), ReductionOperation(.sumOfSquares), ReductionOperation(.firstNonFinite),
    DropoutOperation(), BuiltinOperation(), MemoryOperation(.roundTrip), MemoryOperation(.copy), MemoryOperation(.fill),
    MistakeOperation(),
  ]

  private static let byName = Dictionary(uniqueKeysWithValues: all.map { ($0.name, $0) })

  /// - Throws: `ConformanceError.unknownOperation`.
  static func operation(_ name: String) throws -> any ConformanceOperation {
    guard let operation = byName[name] else { throw ConformanceError.unknownOperation(name) }
    return operation
  }
}
