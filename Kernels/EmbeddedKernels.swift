extension KernelLibrary {
  /// The files that are built in, by name.
  static let embedded: [String: [UInt8]] = [
    "attention_cpu.cl": PackageResources.attention_cpu_cl,
    "attention_gpu.cl": PackageResources.attention_gpu_cl,
    "attention_plain.cl": PackageResources.attention_plain_cl,
    "attention_tiles.cl": PackageResources.attention_tiles_cl,
    "builtins.cl": PackageResources.builtins_cl,
    "columns.cl": PackageResources.columns_cl,
    "elementwise.cl": PackageResources.elementwise_cl,
    "functions.cl": PackageResources.functions_cl,
    "lanes.cl": PackageResources.lanes_cl,
    "matmul_cpu.cl": PackageResources.matmul_cpu_cl,
    "matmul_gpu.cl": PackageResources.matmul_gpu_cl,
    "matmul_pack.cl": PackageResources.matmul_pack_cl,
    "matmul_plain.cl": PackageResources.matmul_plain_cl,
    "matmul_turned.cl": PackageResources.matmul_turned_cl,
    "normalization.cl": PackageResources.normalization_cl,
    "operands.cl": PackageResources.operands_cl,
    "optimizers.cl": PackageResources.optimizers_cl,
    "pairs.cl": PackageResources.pairs_cl,
    "peak.cl": PackageResources.peak_cl,
    "processor.cl": PackageResources.processor_cl,
    "reductions.cl": PackageResources.reductions_cl,
    "rows.cl": PackageResources.rows_cl,
    "softmax.cl": PackageResources.softmax_cl,
    "visibility.cl": PackageResources.visibility_cl,
  ]
}
